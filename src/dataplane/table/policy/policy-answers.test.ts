import t from "tap";
import { DropReason } from "../../drop-reason.ts";
import { TUPLE_WORDS, TupleWord } from "../connection/tuple.ts";
import * as answers from "./policy-answers.ts";
import { PolicyAnswers } from "./policy-answers.ts";
import * as hits from "./policy-hits.ts";

const { SRC3, DST0, DST3, PORTS, META } = TupleWord;
const UDP_V4 = 17 | (4 << 8);
const UDP_V6 = 17 | (6 << 8);
const { NONE, POLICY_DENY } = DropReason;

/** 10.244.1.`from`:`port` to 10.244.1.`to`:53, UDP. */
function tuple(from: number, to: number, port = 1024): Int32Array {
  const v4 = 0x0a_f4_01_00;
  return Int32Array.of(0, 0, 0xffff, v4 | from, 0, 0, 0xffff, v4 | to, (port << 16) | 53, UDP_V4);
}

function changed(key: Int32Array, word: number): Int32Array {
  const other = key.slice();
  other[word] ^= 1;
  return other;
}

t.test("an answer is for every source port, and for nothing else that differs", async (t) => {
  const a = new PolicyAnswers();
  const key = tuple(2, 3);
  const at = answers.place(key, key);
  const has = (k: Int32Array, sender = 7, receiver = 9): boolean =>
    answers.has(a, at, k, k, sender, receiver);
  t.notOk(has(key), "nothing was asked yet");
  answers.keep(a, at, key, key, 7, 9, 13, 21, POLICY_DENY);
  t.ok(has(key));
  t.same([answers.egressAt(a, at), answers.ingressAt(a, at), answers.reasonAt(a, at)], [13, 21, POLICY_DENY]);
  const another = tuple(2, 3, 4711);
  t.equal(answers.place(another, another), at);
  t.ok(has(another));
  for (const i of [SRC3, DST3, PORTS, META]) t.notOk(has(changed(key, i)), `word ${i}`);
  t.notOk(has(key, 8), "of another sender");
  t.notOk(has(key, 7, 8), "to another receiver");
  const v6 = key.slice();
  v6[META] = UDP_V6;
  t.equal(answers.place(v6, v6) === at && has(v6), false, "of the other family");
  answers.keep(a, at, v6, v6, 7, 9, 13, 21, NONE);
  t.ok(has(v6));
  for (let i = 0; i < TUPLE_WORDS; i++) t.notOk(has(changed(v6, i)), `IPv6, word ${i}`);
  answers.forget(a);
  t.notOk(has(v6));
});

t.test("the source as it came, the destination as it is translated", async (t) => {
  const a = new PolicyAnswers();
  const [key, to] = [tuple(2, 3), tuple(4, 5)];
  const at = answers.place(key, to);
  answers.keep(a, at, key, to, 1, 1, 0, 0, NONE);
  const meant = key.slice();
  meant.set(to.subarray(DST0, DST3 + 1), DST0);
  t.equal(answers.place(meant, meant), at);
  t.ok(answers.has(a, at, meant, meant, 1, 1));
});

t.test("packets are counted by the row, and brought to the rules' counters at once", async (t) => {
  const a = new PolicyAnswers();
  const rules = new hits.PolicyHits(4);
  const [key, other] = [tuple(2, 3), tuple(2, 4)];
  const [at, next] = [key, other].map((k) => answers.place(k, k));
  answers.keep(a, at, key, key, 1, 1, 5, 9, NONE);
  answers.keep(a, next, other, other, 1, 1, 0, 9, NONE); // nothing was said of what is sent
  for (const octets of [60, 100]) answers.note(a, at, octets);
  answers.note(a, next, 7);
  t.notOk(answers.isSettled(a, at));
  t.equal(hits.packetsOf(rules, 9), 0);
  answers.settle(a, rules, 77);
  t.ok(answers.isSettled(a, at));
  t.same([hits.packetsOf(rules, 5), hits.octetsOf(rules, 5), hits.lastSecOf(rules, 5)], [2, 160, 77]);
  t.same([hits.packetsOf(rules, 9), hits.octetsOf(rules, 9)], [3, 167]);
  t.equal(hits.packetsOf(rules, 0), 0);
  answers.settle(a, rules, 78);
  t.equal(hits.packetsOf(rules, 9), 3, "once");
  answers.forget(a);
  t.ok(answers.isSettled(a, at));
});

t.test("places are spread: a pod's peers do not push each other out", async (t) => {
  const places = new Set<number>();
  for (let to = 0; to < 256; to++) places.add(answers.place(tuple(2, to), tuple(2, to)));
  t.ok(places.size > 180, `${places.size} of 256`);
});
