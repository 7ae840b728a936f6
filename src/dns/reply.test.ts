import t from "tap";
import { ip } from "../base/ip.ts";
import { queryBytes, textOf } from "../testing/dns/dns-text.ts";
import { Flag, type Query, Rcode, readQuery, Type, word } from "./query.ts";
import { bareReply, type Reply, type Rr, writeReply } from "./reply.ts";

const OPT = [{ type: "OPT", name: ".", udpPayloadSize: 4096 } as never];
const asked = (name: string, type = "A", more = {}): [Buffer, Query] => {
  const bytes = queryBytes(name, type, more);
  return [bytes, readQuery(bytes) as Query];
};
const addresses = (count: number): Rr[] =>
  Array.from({ length: count }, (_, i) => ({ owner: "", ttl: 5, type: Type.A, address: ip(`10.0.0.${i}`) }));
const reply = (answers: readonly Rr[], more: Partial<Reply> = {}): Reply => ({
  ...{ ...bareReply(Rcode.NOERROR, true), answers },
  ...more,
});

t.test("every type of record is read by dns-packet as it was meant", async (t) => {
  const [bytes, query] = asked("Web.Shop.SVC.cluster.local", "ANY");
  const common = { owner: "", ttl: 30 };
  const message = writeReply(
    bytes,
    query,
    reply([
      { ...common, type: Type.A, address: ip("192.0.2.255") },
      { ...common, type: Type.AAAA, address: ip("2001:db8::ff") },
      { ...common, type: Type.CNAME, target: "other.shop.svc.cluster.local" },
      { ...common, type: Type.PTR, target: "x.example" },
      { owner: "y.x.example", ttl: 30, type: Type.NS, target: "ns.x.example" },
      {
        ...common,
        type: Type.SRV,
        priority: 1,
        weight: 2,
        port: 65535,
        target: "other.shop.svc.cluster.local",
      },
      { ...common, type: Type.TXT, text: "1.1.0" },
      {
        owner: "cluster.local",
        ttl: 5,
        type: Type.SOA,
        primary: "ns.x.example",
        mailbox: "m.x.example",
        serial: 1,
        times: [1, 2, 3, 4],
      },
    ]),
    65_535,
    true,
  );
  const name = "Web.Shop.SVC.cluster.local";
  t.same(textOf(message), [
    "NOERROR aa ra",
    `${name} 30 A 192.0.2.255`,
    `${name} 30 AAAA 2001:db8::ff`,
    `${name} 30 CNAME other.shop.svc.cluster.local`,
    `${name} 30 PTR x.example`,
    "y.x.example 30 NS ns.x.example",
    `${name} 30 SRV 1 2 65535 other.shop.svc.cluster.local`,
    `${name} 30 TXT "1.1.0"`,
    "cluster.local 5 SOA ns.x.example m.x.example 4",
  ]);
});

t.test("what does not fit is left out: additional records in silence, answers with TC", async (t) => {
  const [bytes, query] = asked("web.shop.svc.cluster.local");
  const whole = writeReply(bytes, query, reply(addresses(10), { additional: addresses(10) }), 65_535, false);
  const less = writeReply(
    bytes,
    query,
    reply(addresses(10), { additional: addresses(10) }),
    whole.length - 1,
    false,
  );
  t.same([less.length, word(less, 2) & Flag.TC, word(less, 10)], [whole.length - 16, 0, 9]);
  const cut = writeReply(bytes, query, reply(addresses(10), { additional: addresses(1) }), 100, false);
  t.match(textOf(cut)[0], /tc/);
  t.ok(cut.length <= 100);
  t.equal(word(cut, 6), Math.floor((100 - query.end) / 16));
});

t.test("an OPT record for those who have one, counted within the limit", async (t) => {
  const [bytes, query] = asked("web.shop.svc.cluster.local", "A", { additionals: OPT });
  for (let limit = 64; limit < 200; limit++) {
    const message = writeReply(bytes, query, reply(addresses(5)), limit, false);
    t.ok(message.length <= limit);
    t.equal(message.subarray(-11).toString("hex"), "00002904d0000000000000");
    textOf(message);
  }
});

t.test(
  "codes beyond four bits stand in the OPT record; a query without question is answered without",
  async (t) => {
    const bytes = queryBytes("a.example", "A", {
      additionals: [{ type: "OPT", name: ".", ednsVersion: 1 } as never],
    });
    const query = readQuery(bytes) as Query;
    t.equal(query.problem, Rcode.BADVERS);
    t.equal(
      writeReply(bytes, query, bareReply(query.problem), 512, false).subarray(-6, -5).toString("hex"),
      "01",
    );
    const none = Buffer.from("000701000000000000000000", "hex");
    const refused = writeReply(none, readQuery(none) as Query, bareReply(Rcode.FORMERR), 512, false);
    t.equal(refused.toString("hex"), "000781010000000000000000");
  },
);

t.test("names are compressed but for targets of SRV (RFC 2782)", async (t) => {
  const [bytes, query] = asked("a.shop.svc.cluster.local", "ANY");
  const size = (rr: Rr): number => writeReply(bytes, query, reply([rr]), 512, false).length - query.end - 12;
  const target = "b.shop.svc.cluster.local";
  t.equal(size({ owner: "", ttl: 1, type: Type.CNAME, target }), 4, "a label and a pointer");
  t.equal(
    size({ owner: "", ttl: 1, type: Type.SRV, priority: 0, weight: 0, port: 1, target }),
    6 + target.length + 2,
  );
});
