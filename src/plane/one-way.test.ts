import t from "tap";
import { Counters, countPort, PortCounter } from "../dataplane/counters.ts";
import { hear, isOneWay, isToPause, lookAround, OneWay, sentSoFar } from "./one-way.ts";

const { TX_PACKETS } = PortCounter;
const MAX_PORTS = 4;
const PERIOD_MS = 100;

/** A node of which each turn hears the ports named, in order; a packet goes from each to the port beside its name. */
class Node {
  readonly o = new OneWay(MAX_PORTS);
  readonly counters = new Counters(MAX_PORTS);
  constructor() {
    lookAround(this.o, 1, 0, PERIOD_MS);
  }
  turn(from: number, to: number): boolean {
    countPort(this.counters, to, TX_PACKETS, 1);
    hear(this.o, this.counters, from);
    return isOneWay(this.o);
  }
  turns(n: number, from: number, to: number): number {
    let oneWay = 0;
    for (let i = 0; i < n; i++) if (this.turn(from, to)) oneWay++;
    return oneWay;
  }
}

t.test("what nobody answers is a stream that goes one way, after 32 turns", async (t) => {
  const node = new Node();
  t.equal(isOneWay(node.o), false, "a node that has heard nothing");
  t.equal(node.turns(31, 0, 1), 0);
  t.equal(node.turns(1000, 0, 1), 1000);
});

t.test("requests and responses never are", async (t) => {
  const node = new Node();
  let oneWay = 0;
  for (let i = 0; i < 1000; i++) oneWay += node.turns(1, 0, 1) + node.turns(1, 1, 0);
  t.equal(oneWay, 0);
});

t.test("nor is a stream with an acknowledgement for every thirty turns", async (t) => {
  const node = new Node();
  let oneWay = 0;
  for (let i = 0; i < 1000; i++) oneWay += node.turns(30, 0, 1) + node.turns(1, 1, 0);
  t.equal(oneWay, 0);
});

t.test("a question now and then beside a stream changes nothing", async (t) => {
  const node = new Node();
  node.turns(100, 0, 1);
  let oneWay = 0;
  for (let i = 0; i < 100; i++) oneWay += node.turns(198, 0, 1) + node.turns(1, 2, 3) + node.turns(1, 3, 2);
  t.equal(oneWay, 20_000);
});

t.test("when answers come again it is over in a few turns", async (t) => {
  const node = new Node();
  node.turns(1000, 0, 1);
  node.turns(2, 2, 3);
  let turns = 0;
  while (isOneWay(node.o)) {
    node.turn(turns % 2 === 0 ? 3 : 2, turns % 2 === 0 ? 2 : 3);
    turns++;
  }
  t.ok(turns <= 5, `${turns}`);
});

t.test("what was sent to a port before it was heard at all counts as a question, once", async (t) => {
  const node = new Node();
  countPort(node.counters, 0, TX_PACKETS, 5); // a neighbour was asked for
  t.equal(node.turns(39, 0, 1), 7);
});

t.test("it sleeps after each turn, but not while more waits than a device has room for", async (t) => {
  const { o } = new Node();
  const behind = (n: number, hasMore = true) =>
    Array.from({ length: n }, () => isToPause(o, 64, hasMore)).filter((pauses) => pauses).length;
  t.equal(behind(100, false), 100, "a stream that it keeps up with");
  t.equal(behind(100), 8, "512 packets later it has fallen behind");
  t.equal(behind(1, false), 1, "until nothing waits any more");
  t.equal(behind(100), 8);
  t.equal(o.pauses, 117);
});

t.test("it sleeps no more once a flood has come, until somebody has looked at the cores", async (t) => {
  const o = new OneWay(MAX_PORTS);
  lookAround(o, 0, 0, PERIOD_MS);
  const turns = Array.from({ length: 400 }, () => isToPause(o, 64, false));
  t.equal(turns.indexOf(false), 312, "19,968 packets");
  t.notOk(turns.slice(312).includes(true));
  lookAround(o, 0, 0, PERIOD_MS);
  t.ok(isToPause(o, 64, false));
});

t.test("it is nobody's business where two cores are idle, nor in a flood", async (t) => {
  const node = new Node();
  node.turns(100, 0, 1);
  lookAround(node.o, 1, sentSoFar(node.counters, MAX_PORTS), PERIOD_MS);
  const after = (idleCores: number, packets: number): boolean => {
    countPort(node.counters, 3, TX_PACKETS, packets);
    lookAround(node.o, idleCores, sentSoFar(node.counters, MAX_PORTS), PERIOD_MS);
    return isOneWay(node.o);
  };
  t.equal(after(1.9, 10_000), true);
  t.equal(after(2, 10_000), false);
  t.equal(after(0, 19_999), true);
  t.equal(after(0, 20_000), false, "200,000 a second");
});
