import * as fc from "fast-check";
import ipaddr from "ipaddr.js";
import t from "tap";
import * as ftp from "./ftp.ts";

const { NONE, PORT, EPRT, PASV, EPSV } = ftp.FtpKind;

interface Found {
  kind: number;
  text: string;
  address: string | null;
  port: number;
}

function find(line: string, o: { reply?: boolean; v6?: boolean } = {}): Found | number {
  const bytes = Buffer.from(`.....${line}`, "latin1");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Int32Array(ftp.RESULT_WORDS);
  const kind = ftp.find(view, 5, bytes.length, o.reply ?? false, o.v6 ?? false, out);
  if (kind <= 0) return kind;
  return {
    kind,
    text: bytes.toString("latin1", out[ftp.R_OFF], out[ftp.R_OFF] + out[ftp.R_LEN]),
    address: out[ftp.R_HAS_ADDRESS] === 0 ? null : addressOf(out),
    port: out[ftp.R_PORT],
  };
}

function addressOf(out: Int32Array): string {
  const bytes = Buffer.alloc(16);
  for (let i = 0; i < 4; i++) bytes.writeInt32BE(out[ftp.R_ADDRESS + i], 4 * i);
  return ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString();
}

t.test("the four ways to name a data connection", async (t) => {
  t.same(find("PORT 10,244,1,2,200,13\r\n"), {
    kind: PORT,
    text: "10,244,1,2,200,13",
    address: "10.244.1.2",
    port: 200 * 256 + 13,
  });
  t.same(find("eprt |1|10.244.1.2|6446|\r\n"), {
    kind: EPRT,
    text: "|1|10.244.1.2|6446|",
    address: "10.244.1.2",
    port: 6446,
  });
  t.same(find("EPRT |2|fd00:10::a:2|6446|\r\n", { v6: true }), {
    kind: EPRT,
    text: "|2|fd00:10::a:2|6446|",
    address: "fd00:10::a:2",
    port: 6446,
  });
  t.same(find("227 Entering Passive Mode (10,244,1,2,4,1).\r\n", { reply: true }), {
    kind: PASV,
    text: "10,244,1,2,4,1",
    address: "10.244.1.2",
    port: 1025,
  });
  t.same(find("227 =10,244,1,2,4,1\r\n", { reply: true }), {
    kind: PASV,
    text: "10,244,1,2,4,1",
    address: "10.244.1.2",
    port: 1025,
  });
  t.same(find("229 Entering Extended Passive Mode (|||4242|)\r\n", { reply: true, v6: true }), {
    kind: EPSV,
    text: "|||4242|",
    address: null,
    port: 4242,
  });
});

t.test("other lines say nothing, and a client's words are not a server's", async (t) => {
  for (const line of ["USER anonymous\r\n", "PASV\r\n", "", "QUIT\r\n", "227 (1,2,3,4,5,6)\r\n"])
    t.equal(find(line), NONE, JSON.stringify(line));
  for (const line of ["220 ready\r\n", "PORT 1,2,3,4,5,6\r\n", "226 done\r\n", "150 x\r\n"])
    t.equal(find(line, { reply: true }), NONE, line);
});

t.test("what is cut off or wrong is told from what is something else", async (t) => {
  const whole = "PORT 10,244,1,2,200,13\r\n";
  for (let n = 1; n < whole.length - 1; n++)
    t.equal(find(whole.slice(0, n)), ftp.INCOMPLETE, whole.slice(0, n));
  for (const line of [
    "PORT 10,244,1,256,200,13\r\n",
    "PORT 10,244,1,200,13\r\n",
    "PORT 10.244.1.2.200.13\r\n",
    "EPRT |2|10.244.1.2|6446|\r\n",
    "EPRT |1|10.244.1.2|0|\r\n",
    "EPRT |1|10.244.1.2|65536|\r\n",
    "EPRT |1|10.244.1.2!6446|\r\n",
  ])
    t.equal(find(line), ftp.INCOMPLETE, line);
  t.equal(find("229 (|!|1|)\r\n", { reply: true }), ftp.INCOMPLETE);
  t.equal(find("EPRT |2|1::2::3|5|\r\n", { v6: true }), ftp.INCOMPLETE);
  t.equal(find("EPRT |2|1:2:3:4:5:6:7|5|\r\n", { v6: true }), ftp.INCOMPLETE);
});

t.test("what is written is read again", async (t) => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const v6 = fc.array(fc.oneof(word, fc.constant(0)), { minLength: 4, maxLength: 4 });
  const holds = () =>
    fc.assert(
      fc.property(v6, word, fc.integer({ min: 1, max: 65_535 }), fc.boolean(), (wide, narrow, port, isV6) => {
        const address = Int32Array.from([7, ...(isV6 ? wide : [0, 0, 0xffff, narrow])]);
        for (const kind of isV6 ? [EPRT, EPSV] : [PORT, EPRT, PASV, EPSV]) {
          const bytes = new Uint8Array(ftp.TEXT_MAX + 1);
          const n = ftp.write(bytes, 1, kind, isV6, address, 1, port);
          const text = Buffer.from(bytes.subarray(1, 1 + n)).toString();
          const line = [`PORT ${text}\r\n`, `EPRT ${text}\r\n`, `227 (${text})\r\n`, `229 (${text})\r\n`][
            kind - 1
          ];
          const found = find(line, { reply: kind >= PASV, v6: isV6 }) as Found;
          if (found.kind !== kind || found.text !== text || found.port !== port) return false;
          if (
            kind !== EPSV &&
            found.address !== addressOf(Int32Array.from([0, 0, 0, 0, ...address.subarray(1)]))
          )
            return false;
        }
        return true;
      }),
    );
  t.doesNotThrow(holds);
});

t.test("an IPv6 address is read as ipaddr.js reads it", async (t) => {
  const group = fc.oneof(
    fc.constant("0"),
    fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16)),
  );
  const holds = () =>
    fc.assert(
      fc.property(fc.array(group, { minLength: 1, maxLength: 8 }), fc.nat(8), (groups, at) => {
        const text =
          groups.length === 8
            ? groups.join(":")
            : `${groups.slice(0, at).join(":")}::${groups.slice(at).join(":")}`;
        if (!ipaddr.IPv6.isValid(text)) return true;
        const found = find(`EPRT |2|${text}|5|\r\n`, { v6: true });
        return typeof found === "object" && found.address === ipaddr.process(text).toString();
      }),
    );
  t.doesNotThrow(holds);
});

t.test("whatever stands there, only the line is read", async (t) => {
  const words = [
    "PORT ",
    "EPRT ",
    "227 ",
    "229 ",
    "|",
    "(",
    ",",
    "1",
    "2",
    "255",
    "65535",
    "::",
    "\r\n",
    "a",
  ];
  const holds = () =>
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...words), { maxLength: 20 }),
        fc.boolean(),
        fc.boolean(),
        (parts, reply, v6) => {
          const found = find(parts.join(""), { reply, v6 });
          return typeof found === "number" ? found <= 0 : found.text.length > 0;
        },
      ),
    );
  t.doesNotThrow(holds);
});
