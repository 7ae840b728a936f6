import { decode, encode, type Packet, type SoaAnswer } from "dns-packet";
import fc from "fast-check";
import t from "tap";
import { queryBytes, textOf } from "../testing/dns/dns-text.ts";
import { type Answer, readAnswer, retell } from "./answer.ts";
import { AnswerCache } from "./cache.ts";
import { Flag, HEADER, type Query, readQuery, word } from "./query.ts";

const QUESTION = { type: "A", name: "www.example.com", class: "IN" } as const;
const OPT = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
} as const;
const SOA: SoaAnswer = {
  ...{ type: "SOA", name: "example.com", ttl: 900 },
  data: {
    mname: "ns.example.com",
    rname: "m.example.com",
    serial: 1,
    refresh: 2,
    retry: 3,
    expire: 4,
    minimum: 120,
  },
};
const address = (ttl: number, data = "192.0.2.1") =>
  ({ type: "A", name: "www.example.com", ttl, data }) as const;
const message = (more: Partial<Packet>, flags = 0): Buffer =>
  encode({ type: "response", id: 9, flags: Flag.RA | flags, questions: [QUESTION], ...more });
const asked = Buffer.from(queryBytes("www.example.com", "A").subarray(HEADER));
const read = (bytes: Buffer, id = 9): Answer | undefined => readAnswer(bytes, id, asked);

t.test("an answer is one to the question that was asked", async (t) => {
  t.ok(read(message({ answers: [address(60)] })));
  t.equal(read(message({ answers: [address(60)] }), 8), undefined, "another id");
  t.equal(
    read(message({ questions: [{ ...QUESTION, name: "www.example.org" }] })),
    undefined,
    "another name",
  );
  t.equal(read(message({ questions: [{ ...QUESTION, type: "AAAA" }] })), undefined, "another type");
  t.equal(read(message({ questions: [] })), undefined, "no question");
  t.equal(read(encode({ type: "query", id: 9, questions: [QUESTION] })), undefined, "a query");
  t.ok(
    read(message({ questions: [{ ...QUESTION, name: "WWW.example.com" }], answers: [address(60)] })),
    "other letters",
  );
});

t.test("how long it holds", async (t) => {
  const ttl = (more: Partial<Packet>, code = 0): number | undefined => read(message(more, code))?.ttl;
  t.equal(ttl({ answers: [address(60), address(30)] }), 30);
  t.equal(
    ttl({
      answers: [address(60)],
      authorities: [{ type: "NS", name: "example.com", ttl: 10, data: "ns.example.com" }],
    }),
    10,
  );
  t.equal(ttl({ answers: [address(0x8000_0000)] }), 0, "RFC 2181 §8");
  t.equal(ttl({ authorities: [SOA] }), 120, "no data: the SOA's minimum");
  t.equal(ttl({ authorities: [{ ...SOA, ttl: 60 }] }, 3), 60, "no name: the SOA's TTL where that is less");
  t.equal(ttl({}, 3), 0, "no SOA: it is not kept (RFC 2308 §5)");
  t.equal(ttl({ authorities: [SOA] }, 2), 0, "a failure is no answer");
  const cname = { type: "CNAME", name: "www.example.com", ttl: 50, data: "x.example.com" } as const;
  t.same(
    [ttl({ answers: [cname], authorities: [SOA] }), ttl({ answers: [cname] })],
    [50, 0],
    "an alias for nothing",
  );
});

t.test(
  "it is told with the client's id and letters, TTLs later, an OPT record only where he has one",
  async (t) => {
    const answer = read(message({ answers: [address(60)], additionals: [OPT as never] })) as Answer;
    const tell = (limit: number, more: Partial<Packet> = {}, agedSec = 12): Buffer => {
      const bytes = queryBytes("wWw.eXample.com", "A", { id: 77, ...more });
      return retell(answer, bytes, readQuery(bytes) as Query, limit, agedSec);
    };
    t.same(textOf(tell(512)), ["NOERROR ra", "www.example.com 48 A 192.0.2.1"]);
    t.equal(decode(tell(512)).questions?.[0].name, "wWw.eXample.com");
    t.same([word(tell(512), 0), word(tell(512), 10)], [77, 0]);
    t.equal(word(tell(512, { additionals: [OPT as never] }), 10), 1);
    t.same(textOf(tell(512, {}, 100))[1], "www.example.com 0 A 192.0.2.1", "never below zero");
    t.same(textOf(tell(40)), ["NOERROR tc ra"], "too long");
  },
);

t.test("what follows an OPT record is left out, and what stands before it is counted", async (t) => {
  const extra = { type: "A", name: "ns.example.com", ttl: 5, data: "192.0.2.53" } as const;
  const answer = read(
    message({ answers: [address(60)], additionals: [extra, OPT as never, extra] }),
  ) as Answer;
  t.same(textOf(answer.message), [
    "NOERROR ra",
    "www.example.com 60 A 192.0.2.1",
    "additional ns.example.com 5 A 192.0.2.53",
  ]);
  t.equal(answer.ttls.length, 2);
});

t.test("whatever the bytes are, nothing is thrown, and what is told can be read", async () => {
  const whole = message({
    answers: [address(60), address(61, "192.0.2.2")],
    authorities: [SOA],
    additionals: [OPT as never],
  });
  const bytes = queryBytes("www.example.com", "A");
  const query = readQuery(bytes) as Query;
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(changes, fc.nat(40), (list, cut) => {
      const copy = Buffer.from(whole.subarray(0, whole.length - cut));
      for (const [at, value] of list) if (at < copy.length) copy[at] = value;
      copy.writeUInt16BE(9, 0);
      const answer = read(copy);
      if (answer === undefined) return true;
      const told = retell(answer, bytes, query, 512, 7);
      return told.length <= 512 && answer.ttls.every((at) => at + 4 <= answer.message.length);
    }),
    { numRuns: 5000 },
  );
});

t.test(
  "the cache keeps answers for their time, no longer than it is told, and no more than fit",
  async (t) => {
    const cache = new AnswerCache({ size: 2, maxTtl: 100, maxNegativeTtl: 10 });
    const good = read(message({ answers: [address(3600)] })) as Answer;
    const none = read(message({ authorities: [SOA] }, 3)) as Answer;
    cache.put("good", good, 0);
    cache.put("none", none, 0);
    t.same([cache.get("good", 99_999)?.answer, cache.get("good", 100_000)], [good, undefined]);
    t.same([cache.get("none", 9_999)?.answer, cache.get("none", 10_000)], [none, undefined]);
    for (const key of ["a", "b", "c"]) cache.put(key, good, 0);
    t.same([cache.get("a", 1), cache.size], [undefined, 2], "the oldest goes");
    cache.put("cut", { ...good, truncated: true }, 0);
    t.equal(cache.get("cut", 1), undefined);
    const off = new AnswerCache({ size: 0, maxTtl: 100, maxNegativeTtl: 10 });
    off.put("good", good, 0);
    t.equal(off.get("good", 1), undefined);
  },
);
