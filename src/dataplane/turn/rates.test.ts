// What pods may receive and send: beside a bucket and a queue that are written plainly, over random traffic.
import t from "tap";
import * as build from "../../testing/frames/frame-builder.ts";
import { superframe } from "../../testing/frames/virtio-frames.ts";
import { Prng } from "../../testing/prng.ts";
import { limit } from "../../testing/world/limited-pod.ts";
import { pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { PortCounter, portCounter } from "../counters.ts";
import * as engine from "../engine.ts";

const [POD2, POD3] = ["10.244.1.2", "10.244.1.3"];
const HEADERS = 42; // Ethernet, IPv4, UDP

/** A datagram of pod 2 to pod 3, known by its length. */
function datagram(node: TestNode, payload: number): Uint8Array {
  return build.udpFrame({ ...pathTo(node, POD2, POD3), dstMac: node.gatewayMac, payload });
}

/** Lengths of what pod 3 got since it was last asked. */
function got(node: TestNode): number[] {
  return node.received("pod3").map(({ frame }) => frame.length);
}

/** A rate with a queue, as Linux' tbf has it, in a few lines: what leaves of `arrivals`, by millisecond. */
class PlainShaper {
  readonly #queue: number[] = [];
  readonly #perMs: number;
  readonly #burst: number;
  readonly #limit: number;
  #tokens: number;
  lost = 0;

  constructor(perMs: number, burst: number, limitBytes: number) {
    [this.#perMs, this.#burst, this.#limit, this.#tokens] = [perMs, burst, limitBytes, burst];
  }

  step(arrivals: readonly number[]): number[] {
    const left: number[] = [];
    this.#tokens = Math.min(this.#burst, this.#tokens + this.#perMs);
    // The plane looks at who waits before and after packets come.
    const drain = (): void => {
      while (this.#queue.length > 0 && this.#tokens > 0) {
        this.#tokens -= this.#queue[0];
        left.push(this.#queue.shift() as number);
      }
    };
    drain();
    for (const len of arrivals) {
      const waiting = this.#queue.reduce((sum, each) => sum + each, 0);
      if (this.#queue.length === 0 && this.#tokens > 0) {
        this.#tokens -= len;
        left.push(len);
      } else if (this.#queue.length === 0 || waiting + len <= this.#limit) this.#queue.push(len);
      else this.lost++;
    }
    return left;
  }
}

t.test(
  "what a pod receives leaves by its rate, in order; what does not fit is lost and counted",
  async (t) => {
    const random = new Prng(20_260_730);
    const node = new TestNode();
    const rate = { bytesPerMs: 700, burstBytes: 4000, limitBytes: 90_000 };
    limit(node, "pod3", { to: rate });
    const plain = new PlainShaper(rate.bytesPerMs, rate.burstBytes, rate.limitBytes);
    let arrived = 0;
    let left = 0;
    for (let ms = 0; ms < 700; ms++) {
      const count = random.below(ms < 400 ? 4 : 1);
      const arrivals = Array.from({ length: count }, () => HEADERS + 100 + random.below(1300));
      for (const len of arrivals) node.send("pod2", datagram(node, len - HEADERS));
      node.advanceMs(1);
      const now = got(node);
      const wanted = plain.step(arrivals);
      if (JSON.stringify(now) !== JSON.stringify(wanted)) t.same(now, wanted, `millisecond ${ms}`);
      arrived += count;
      left += now.length;
    }
    t.ok(plain.lost > 50, `${plain.lost} lost`);
    t.equal(arrived, left + plain.lost, "nobody waits any more");
    t.same(node.takeDrops(), { RATE_LIMITED: plain.lost });
    const port = node.portId("pod3");
    t.equal(portCounter(node.counters, port, PortCounter.TX_DROPS), plain.lost);
    t.ok(portCounter(node.counters, port, PortCounter.TX_DELAYED) > 100);
    t.equal(node.tables.pool.count, node.poolSlots, "all slots are free again");
  },
);

t.test("a superframe passes whole, and is paid for with all its headers", async (t) => {
  const node = new TestNode();
  limit(node, "pod3", { to: { bytesPerMs: 1000, burstBytes: 2000, limitBytes: 100_000 } });
  const path = { ...pathTo(node, POD2, POD3), dstMac: node.gatewayMac, srcPort: 41000, dstPort: 80 };
  const { frame, virtio } = superframe(
    build.tcpFrame({ ...path, flags: ".", seq: 1, payload: 40_000 }),
    1000,
  );
  const octets = 40_000 + 40 * 54;
  node.send("pod2", frame, virtio);
  node.send("pod2", datagram(node, 58));
  node.run();
  t.same(got(node), [frame.length]);
  const debtMs = Math.ceil((octets - 2000) / 1000);
  node.advanceMs(debtMs - 1, debtMs - 1);
  t.same(got(node), [], "not before it is paid for");
  node.advanceMs(1);
  t.same(got(node), [100]);
});

t.test("a pod that has sent what it may is not read until it may again; nothing is lost", async (t) => {
  const node = new TestNode();
  limit(node, "pod2", { from: { bytesPerMs: 500, burstBytes: 1000, limitBytes: 0 } as never });
  const sizes = [600, 600, 600, 100, 900];
  for (const size of sizes) node.send("pod2", datagram(node, size - HEADERS));
  node.run();
  t.same(got(node), [600, 600], "1000 bytes, and the rest of the frame that begins within them");
  const after: number[][] = [];
  for (let ms = 1; ms <= 5; ms++) {
    node.advanceMs(1);
    after.push(got(node));
  }
  // Tokens: -200; +500: 300, 600 leaves: -300; +500: 200, 100 and 900 leave: -800.
  t.same(after, [[600], [100, 900], [], [], []]);
  t.same(node.drops(), {});
  t.ok(portCounter(node.counters, node.portId("pod2"), PortCounter.RX_PAUSES) > 0);
});

t.test("a port that waits is not asked, by whoever asks for ports, and asked again in time", async (t) => {
  const node = new TestNode({ summed: true });
  const asked: string[] = [];
  node.engine.polling = {
    add: (_, id) => asked.push(`add ${id}`),
    remove: (fd) => asked.push(`remove ${fd}`),
  };
  const id = node.portId("pod2");
  limit(node, "pod2", { from: { bytesPerMs: 100, burstBytes: 100 } });
  const flood = (): void => {
    for (let i = 0; i < 3; i++) node.send("pod2", datagram(node, 150 - HEADERS));
    node.run(); // this stand-in for the addon knows no byte budget: all are read
  };
  flood();
  node.send("pod2", datagram(node, 150 - HEADERS));
  node.run();
  t.same(asked, [`remove ${id}`], "once");
  t.equal(engine.msUntilDue(node.engine), 1);
  node.advanceMs(3, 1);
  t.equal(asked.length, 1, "450 bytes of debt less 100");
  node.advanceMs(1);
  t.same(asked.slice(1, 2), [`add ${id}`]);
  flood();
  t.equal(asked.at(-1), `remove ${id}`);
  limit(node, "pod2", {});
  node.advanceMs(1);
  t.equal(asked.at(-1), `add ${id}`, "without a rate it is read");
  limit(node, "pod2", { from: { bytesPerMs: 100, burstBytes: 100 } });
  flood();
  t.equal(node.tables.ports.pausedCount, 1);
  engine.detach(node.engine, id);
  t.equal(node.tables.ports.pausedCount, 0);
});

t.test("another rate, and a pod that goes: who waited is lost and counted, slots come back", async (t) => {
  const node = new TestNode();
  const flood = (): void => {
    limit(node, "pod3", { to: { bytesPerMs: 1, burstBytes: 10, limitBytes: 100_000 } });
    for (let i = 0; i < 90; i++) node.send("pod2", datagram(node, 1000));
    node.run();
    got(node);
  };
  flood();
  const { pool } = node.tables;
  t.ok(pool.count < node.poolSlots);
  limit(node, "pod3", {});
  t.equal(pool.count, node.poolSlots);
  t.same(node.takeDrops(), { RATE_LIMITED: 89 });
  flood();
  node.removePod(3);
  t.equal(pool.count, node.poolSlots);
  t.same(node.takeDrops(), { RATE_LIMITED: 89 });
  t.equal(node.tables.ports.shapedCount, 0);
});

t.test("queues of many pods leave half of the packet slots to others", async (t) => {
  const node = new TestNode({ poolSlots: 16 });
  for (let host = 4; host < 12; host++) {
    node.addPod(host);
    limit(node, `pod${host}`, { to: { bytesPerMs: 1, burstBytes: 10, limitBytes: 1_000_000 } });
    const path = { ...pathTo(node, POD2, `10.244.1.${host}`), dstMac: node.gatewayMac };
    for (let i = 0; i < 120; i++) node.send("pod2", build.udpFrame({ ...path, payload: 1300 }));
    node.run();
  }
  t.equal(node.tables.pool.count, 8);
  t.ok(node.takeDrops().RATE_LIMITED > 0);
});
