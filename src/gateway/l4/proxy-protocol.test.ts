// PROXY protocol: what is written is read, however it is cut; what is wrong is refused, whatever it is.
import fc from "fast-check";
import t from "tap";
import { formatIp, formatIpPort, type Ip, ip, parseIp } from "../../base/ip.ts";
import { type End, type ProxyState, readProxyHeader, writeProxyHeader } from "./proxy-protocol.ts";

const latin = (text: string): Buffer => Buffer.from(text, "latin1");

function short(state: ProxyState): string {
  if (state.kind === "bad") return `bad: ${state.reason}`;
  if (state.kind !== "header") return state.kind;
  const { version, from, to, length } = state.header;
  const text = (each: End | undefined): string =>
    each === undefined ? "-" : formatIpPort(each.address, each.port);
  return `v${version} ${text(from)} ${text(to)} ${length}`;
}

const v4: fc.Arbitrary<Ip> = fc.ipV4().map((text) => ip(text));
const v6: fc.Arbitrary<Ip> = fc
  .ipV6()
  .map((text) => parseIp(text))
  .filter((each): each is Ip => each !== null);
const port = fc.nat({ max: 65_535 });
const ends = fc
  .oneof(fc.tuple(v4, v4), fc.tuple(v6, v6), fc.tuple(v4, v6))
  .chain(([a, b]) =>
    fc.tuple(port, port).map(([p, q]) => ({ from: { address: a, port: p }, to: { address: b, port: q } })),
  );

t.test(
  "what is written is read again, with what follows left alone, and no piece of it is enough",
  async () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1 as const, 2 as const),
        fc.option(ends),
        fc.uint8Array(),
        (version, both, rest) => {
          const header = writeProxyHeader(version, both ?? undefined);
          const text = (each: End | undefined): string =>
            each === undefined ? "-" : formatIpPort(each.address, each.port);
          const wanted = `v${version} ${text(both?.from)} ${text(both?.to)} ${header.length}`;
          for (let cut = 0; cut < header.length; cut++)
            if (short(readProxyHeader(header.subarray(0, cut))) !== "more") return false;
          return short(readProxyHeader(Buffer.concat([header, rest]))) === wanted;
        },
      ),
    );
  },
);

t.test("the examples of the specification, and what other proxies write", async (t) => {
  for (const [text, wanted] of [
    [
      "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
      "v1 255.255.255.255:65535 255.255.255.255:65535 56",
    ],
    [
      "PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".replaceAll(
        "f...f",
        Array(6).fill("ffff").join(":"),
      ),
      /^v1 \[ffff:ffff:.*\]:65535 \[ffff:.*\]:65535 104$/,
    ],
    ["PROXY UNKNOWN\r\n", "v1 - - 15"],
    ["PROXY UNKNOWN ffff::1 whatever 65535 65535\r\nGET /", "v1 - - 44"],
    ["PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "v1 192.0.2.1:1 [::1]:2 37"],
    ["GET / HTTP/1.1\r\n", "none"],
    ["PROXX", "none"],
    ["", "more"],
    ["PROXY TCP4 192.0.2.1", "more"],
  ] as const)
    if (typeof wanted === "string") t.equal(short(readProxyHeader(latin(text))), wanted, text);
    else t.match(short(readProxyHeader(latin(text))), wanted, text);
});

t.test("version 1: whatever is not exactly a header ends the connection", async (t) => {
  for (const text of [
    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r \n",
    "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
    "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
    "PROXY \r\n",
    `PROXY UNKNOWN ${"x".repeat(100)}`,
  ])
    t.match(
      readProxyHeader(latin(text)),
      { kind: "bad", reason: /^its PROXY header / },
      JSON.stringify(text),
    );
});

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const v2 = (rest: string): string =>
  short(readProxyHeader(Buffer.from(SIGNATURE + rest.replaceAll(" ", ""), "hex")));

t.test("version 2: commands, families, further fields and their checksum", async (t) => {
  const ADDRESSES = "c0000201 c0000202 0001 0002";
  t.equal(v2(`21 11 000c ${ADDRESSES}`), "v2 192.0.2.1:1 192.0.2.2:2 28");
  t.equal(v2(`21 12 000c ${ADDRESSES}`), "v2 192.0.2.1:1 192.0.2.2:2 28", "datagrams");
  t.equal(
    v2(`21 11 0010 ${ADDRESSES} 04 0001 00`),
    "v2 192.0.2.1:1 192.0.2.2:2 32",
    "a field that says nothing",
  );
  t.equal(v2("20 00 0000"), "v2 - - 16", "the proxy's own");
  t.equal(v2(`20 11 000c ${ADDRESSES}`), "v2 - - 28", "the proxy's own, whatever it says");
  t.equal(v2(`21 31 00d8 ${"00".repeat(216)}`), "v2 - - 232", "a Unix socket");
  t.equal(v2("21 00 0000"), "v2 - - 16");
  const sum = "99afbe28"; // worked out below, by the bit
  t.match(v2(`21 11 0013 ${ADDRESSES} 03 0004 ${sum}`), /does not fit its checksum/);
  const body = Buffer.from(`${SIGNATURE}21110013${ADDRESSES.replaceAll(" ", "")}03000400000000`, "hex");
  let register = -1;
  for (const byte of body) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ ((register & 1) === 0 ? 0 : 0x82f63b78);
  }
  body.writeInt32BE(~register, body.length - 4);
  t.equal(short(readProxyHeader(body)), "v2 192.0.2.1:1 192.0.2.2:2 35");
  for (const wrong of [
    `11 11 000c ${ADDRESSES}`,
    `22 11 000c ${ADDRESSES}`,
    `21 41 000c ${ADDRESSES}`,
    `21 13 000c ${ADDRESSES}`,
    "21 11 000b",
    "21 21 0023",
    "21 11 ffff",
    `21 11 000e ${ADDRESSES} 04 00`,
    `21 11 0010 ${ADDRESSES} 04 0002 00`,
    `21 11 0010 ${ADDRESSES} 03 0001 00`,
  ])
    t.match(v2(wrong), /^bad: its PROXY header /, wrong);
});

t.test(
  "no bytes make the reader throw, read past them, or take a client's word for half a header",
  async () => {
    const start = fc.constantFrom("", "PROXY ", "PROXY TCP4 ", "PROXY TCP6 ::1 ");
    const text = fc
      .tuple(start, fc.uint8Array({ maxLength: 130 }))
      .map(([head, rest]) => Buffer.concat([latin(head), rest]));
    const binary = fc
      .uint8Array({ maxLength: 300 })
      .map((rest) => Buffer.concat([Buffer.from(SIGNATURE, "hex"), rest]));
    fc.assert(
      fc.property(fc.oneof(text, binary), (bytes) => {
        const state = readProxyHeader(bytes);
        if (state.kind !== "header") return true;
        const { from, length } = state.header;
        return length <= bytes.length && (from === undefined || formatIp(from.address) !== "");
      }),
      { numRuns: 5000 },
    );
  },
);
