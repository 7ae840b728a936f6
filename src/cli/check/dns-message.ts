// A question to a DNS server and what its answer says (RFC 1035 §4): as much as a test of connectivity needs.

const QR = 0x8000;
const RD = 0x0100;
const TYPE = { 4: 1, 6: 28 } as const; // A, AAAA
const IN = 1;
const HEADER_BYTES = 12;
const RCODES = ["", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

const NAME_MAX = 253;

/** As it may stand in a question, with the dot at its end or without: labels of 1 to 63 letters, digits, - and _. */
export function isDnsName(name: string): boolean {
  const bare = name.replace(/\.$/, "");
  return bare.length <= NAME_MAX && bare.split(".").every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label));
}

/** `id`: of the message. A question for addresses of this family. */
export function dnsQuestion(name: string, id: number, family: 4 | 6): Buffer {
  const labels = name.replace(/\.$/, "").split(".");
  const words = labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label, "latin1")]));
  const header = Buffer.alloc(HEADER_BYTES);
  [id, RD, 1].forEach((value, i) => {
    header.writeUInt16BE(value, 2 * i);
  });
  const end = Buffer.alloc(5);
  end.writeUInt16BE(TYPE[family], 1);
  end.writeUInt16BE(IN, 3);
  return Buffer.concat([header, ...words, end]);
}

/** Why it is no good answer; "": it is one. */
export function dnsProblem(answer: Buffer, id: number): string {
  if (answer.length < HEADER_BYTES || answer.readUInt16BE(0) !== id) return "the answer is no DNS message";
  const flags = answer.readUInt16BE(2);
  if ((flags & QR) === 0) return "the answer is a question";
  const code = flags & 0xf;
  return code === 0 ? "" : `the server answers ${RCODES[code] ?? `code ${code}`}`;
}
