import { decode } from "dns-packet";
import fc from "fast-check";
import t from "tap";
import { queryBytes } from "../testing/dns/dns-text.ts";
import { keyOfLabels, labelsOf, nameText } from "./name.ts";
import { type Query, Rcode, rcodeName, readQuery, typeName } from "./query.ts";

const HEAD = "0007 0100 0001 0000 0000";
const QUESTION = "03 777777 02 6578 00 0001 0001"; // www.ex A IN
const OPT = "00 0029 1000 00 00 0000 0000";
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

const cases: readonly (readonly [name: string, hex: string, want: string | undefined])[] = [
  ["a plain query", `${HEAD} 0000 ${QUESTION}`, "NOERROR"],
  ["with EDNS", `${HEAD} 0001 ${QUESTION} ${OPT}`, "NOERROR"],
  ["octets behind it", `${HEAD} 0000 ${QUESTION} ffff`, "NOERROR"],
  ["no header", "0007 0100 0001", undefined],
  ["an answer", `0007 8100 0001 0000 0000 0000 ${QUESTION}`, undefined],
  ["an update", `0007 2900 0001 0000 0000 0000 ${QUESTION}`, "NOTIMP"],
  ["no question", "0007 0100 0000 0000 0000 0000", "FORMERR"],
  ["two questions", `0007 0100 0002 0000 0000 0000 ${QUESTION} ${QUESTION}`, "FORMERR"],
  ["a question that ends early", `${HEAD} 0000 03 777777 00 0001 00`, "FORMERR"],
  ["a name that ends early", `${HEAD} 0000 03 7777`, "FORMERR"],
  ["a name that points", `${HEAD} 0000 c00c 0001 0001`, "FORMERR"],
  ["a label of 64 octets", `${HEAD} 0000 40 ${"61".repeat(64)} 00 0001 0001`, "FORMERR"],
  [
    "a name of 255 octets",
    `${HEAD} 0000 ${`3f${"61".repeat(63)}`.repeat(3)} 3d ${"61".repeat(61)} 00 0001 0001`,
    "NOERROR",
  ],
  [
    "a name of 256 octets",
    `${HEAD} 0000 ${`3f${"61".repeat(63)}`.repeat(3)} 3e ${"61".repeat(62)} 00 0001 0001`,
    "FORMERR",
  ],
  ["a record that is not there", `${HEAD} 0001 ${QUESTION}`, "FORMERR"],
  ["a record that ends early", `${HEAD} 0001 ${QUESTION} 00 0029 1000 00 00 0000 0004 0000`, "FORMERR"],
  ["EDNS of a later version", `${HEAD} 0001 ${QUESTION} 00 0029 1000 00 01 0000 0000`, "BADVERS"],
  ["EDNS twice", `${HEAD} 0002 ${QUESTION} ${OPT} ${OPT}`, "FORMERR"],
  ["EDNS of a name", `${HEAD} 0001 ${QUESTION} 0161 ${OPT}`, "FORMERR"],
  ["EDNS among answers", `0007 0100 0001 0001 0000 0000 ${QUESTION} ${OPT}`, "FORMERR"],
  ["three additional records", `${HEAD} 0003 ${QUESTION} ${OPT}`, "FORMERR"],
];

for (const [name, hex, want] of cases)
  t.test(name, async (t) => {
    const query = readQuery(bytes(hex));
    t.equal(query === undefined ? undefined : rcodeName(query.problem), want);
  });

t.test("what a query says of itself", async (t) => {
  const query = readQuery(
    bytes(`beef 0110 0001 0000 0000 0001 ${QUESTION} 00 0029 0100 00 00 8000 0000`),
  ) as Query;
  t.match(query, { id: 0xbeef, type: 1, class: 1, end: 12 + 12, edns: { size: 512, dnssecOk: true } });
  t.same(labelsOf(query.name), ["www", "ex"]);
  t.equal(readQuery(bytes(`${HEAD} 0000 01 41 01 5a 00 0041 0001`))?.name, "\x01a\x01z\0");
  t.equal(typeName(65), "HTTPS");
  t.equal(typeName(4711), "TYPE4711");
});

t.test("octets that are no text are told apart and can be printed", async (t) => {
  const labels = ["a.b", "\\", "\x00", "Ä".toLowerCase(), "x y"];
  t.same(labelsOf(keyOfLabels(labels)), labels);
  t.equal(nameText(labels), "a\\.b.\\\\.\\000.\\228.x\\032y");
  const high = (octet: string) => readQuery(bytes(`${HEAD} 0000 01 ${octet} 00 0001 0001`))?.name;
  t.not(high("c4"), high("e4"), "RFC 4343: only ASCII has cases");
});

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);

t.test("names, types and flags are read as dns-packet reads them", async (t) => {
  const names = fc.array(label, { minLength: 1, maxLength: 8 }).map((labels) => labels.join("."));
  fc.assert(
    fc.property(
      names,
      fc.constantFrom("A", "AAAA", "SRV", "PTR", "TXT", "SOA"),
      fc.nat(0xffff),
      (name, type, id) => {
        const message = queryBytes(name, type, {
          id,
          additionals: [{ type: "OPT", name: ".", udpPayloadSize: 900 } as never],
        });
        const query = readQuery(message) as Query;
        const [question] = decode(message).questions ?? [];
        t.equal(labelsOf(query.name).join("."), question.name.toLowerCase());
        t.same([typeName(query.type), query.id, query.edns?.size], [question.type, id, 900]);
      },
    ),
    { numRuns: 50 },
  );
});

t.test(
  "whatever the bytes are, nothing is thrown, and what is answered has a question or a problem",
  async () => {
    const valid = fc.constantFrom(...cases.map(([, hex]) => bytes(hex)));
    const changed = fc
      .tuple(valid, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }), fc.nat(100))
      .map(([message, changes, length]) => {
        const copy = Buffer.from(message);
        for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
        return copy.subarray(0, Math.max(0, copy.length - (length > 60 ? length - 60 : 0)));
      });
    const any = fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets));
    fc.assert(
      fc.property(fc.oneof(changed, any), (message) => {
        const query = readQuery(message);
        if (query === undefined || query.problem === Rcode.NOTIMP) return true;
        return query.problem !== Rcode.NOERROR || (query.end <= message.length && query.name.endsWith("\0"));
      }),
      { numRuns: 5000 },
    );
  },
);
