// What a data-plane thread practises with before there are packets (warm-packets.ts): all of it arrives, and it is what
// most packets are.
import { fstatSync } from "node:fs";
import t from "tap";
import { Event, PortCounter, portCounter } from "../../dataplane/counters.ts";
import { loadNative } from "../../native/binding.ts";
import { At } from "./practice-plane.ts";
import { Practice, practise } from "./warm-packets.ts";

const ROUNDS = 2;

t.test(
  "practice is of every kind that the fast path and its neighbours know, and nothing of it is lost",
  (t) => {
    const practice = new Practice(loadNative(), ROUNDS);
    const { plane, sink } = practice;
    if (plane === null) throw new Error("over before it began");
    let slices = 0;
    for (; practice.plane !== null; slices++) practise(practice, 0);
    t.ok(slices <= ROUNDS * practice.lessons.length, `${slices} slices: each has a lesson at least`);
    t.throws(() => fstatSync(sink), { code: "EBADF" }, "nothing stays open");
    const { counters } = plane.tables;
    t.same([counters.drops.find((n) => n !== 0), plane.lastError], [undefined, ""]);
    const kinds = [
      "CT_CREATED",
      "VXLAN_ENCAP",
      "VXLAN_DECAP",
      "TUNNEL_GSO",
      "TUNNEL_BUNDLED",
      "UDP_JOINED",
    ] as const;
    for (const kind of [...kinds, "GSO_SEGMENTS_IN", "CSUM_COMPLETED"] as const)
      t.ok(counters.events[Event[kind]] > 0, kind);
    const sum = (which: number) =>
      Object.values(At).reduce((all: number, port) => all + portCounter(counters, port, which), 0);
    const frames = ROUNDS * practice.lessons.reduce((all, { frames }) => all + frames.length, 0);
    t.equal(sum(PortCounter.RX_PACKETS), frames);
    t.equal(sum(PortCounter.TX_DROPS), 0);
    t.ok(counters.events[Event.FAST_PATH] > 0.8 * frames, "known connections are most of it");
    t.end();
  },
);
