// What is queued leaves in order at each port, in one call of the addon; what a device refuses is counted at
// its port.
import t from "tap";
import { type Io, IoKind } from "../../base/addon.ts";
import { Counters, PortCounter, portCounter } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import { type Port, PortRole } from "../port.ts";
import * as pool from "../slot-pool.ts";
import { SlotPool } from "../slot-pool.ts";
import * as tx from "./tx-queue.ts";
import { PortTable, TxQueue } from "./tx-queue.ts";

const EAGAIN = -11;
const ENODEV = -19;
const EINVAL = -22;

interface Sent {
  readonly to: string;
  readonly off: number;
  readonly len: number;
}

/** Ports 0 and 1 have descriptors 100 and 101, port 2 a device of its own, port 3 nothing. */
function queue(capacity = 8): { q: TxQueue; sent: Sent[]; calls: number[]; results: number[]; c: Counters } {
  const sent: Sent[] = [];
  const calls: number[] = [];
  const results: number[] = []; // answers of the addon, front first; 0 when there is none
  const io: Io = {
    receive: () => 0,
    transmit: (
      fds: Int32Array,
      _kinds: Int32Array,
      _arena: Uint8Array,
      offs: Int32Array,
      lens: Int32Array,
      count: number,
      out: Int32Array,
    ) => {
      calls.push(count);
      for (let i = 0; i < count; i++) {
        out[i] = results.shift() ?? 0;
        if (out[i] === 0) sent.push({ to: `fd ${fds[i]}`, off: offs[i], len: lens[i] });
      }
      return count;
    },
  };
  const soft: Port = {
    ...{ name: "soft", role: PortRole.UPLINK, ioKind: IoKind.TAP_VNET, fd: -1 },
    transmit: (_arena, off, len) => {
      const result = results.shift() ?? 0;
      if (result === 0) sent.push({ to: "soft", off, len });
      return result;
    },
  };
  const c = new Counters(4);
  const ports = new PortTable(4);
  ports.fd.set([100, 101, -1, -1]);
  ports.devices[2] = soft;
  ports.count = 4;
  const q = new TxQueue(new Uint8Array(64), new SlotPool(0, 4), ports, c, io, capacity);
  return { q, sent, calls, results, c };
}

t.test("frames leave in order, all ports in one call", async (t) => {
  const { q, sent, calls } = queue();
  tx.enqueue(q, 0, 10, 60, -1);
  tx.enqueue(q, 1, 20, 61, -1);
  tx.enqueue(q, 0, 30, 62, -1);
  t.same(sent, []);
  tx.flush(q);
  t.same(calls, [3]);
  t.same(
    sent.map(({ to, off, len }) => [to, off, len]),
    [
      ["fd 100", 10, 60],
      ["fd 101", 20, 61],
      ["fd 100", 30, 62],
    ],
  );
  tx.flush(q);
  t.same(calls, [3], "nothing left");
});

t.test("a full queue is flushed before the next frame", async (t) => {
  const { q, sent, calls } = queue(2);
  for (let i = 0; i < 5; i++) tx.enqueue(q, 0, i, 60, -1);
  t.same(calls, [2, 2]);
  tx.flush(q);
  t.same(
    sent.map(({ off }) => off),
    [0, 1, 2, 3, 4],
  );
  t.equal(q.flushes, 3);
});

t.test("slots come back with the flush, not before", async (t) => {
  const { q } = queue();
  const slot = pool.acquire(q.pool);
  tx.enqueue(q, 0, 1, 60, slot);
  t.equal(q.pool.count, 3);
  tx.flush(q);
  t.equal(q.pool.count, 4);
});

t.test("ports with and without descriptor keep their order and their counters", async (t) => {
  const { q, sent, calls, c } = queue();
  tx.enqueue(q, 0, 10, 60, -1);
  tx.enqueue(q, 2, 20, 70, -1);
  tx.enqueue(q, 1, 30, 80, -1);
  tx.flush(q);
  t.same(
    sent.map(({ to }) => to),
    ["fd 100", "soft", "fd 101"],
  );
  t.same(calls, [1, 1]);
  const bytes = [0, 1, 2].map((port) => portCounter(c, port, PortCounter.TX_BYTES));
  t.same(bytes, [60, 80, 70]);
  tx.enqueue(q, 0, 40, 60, -1);
  tx.flush(q);
  t.same(calls, [1, 1, 1], "one call again");
});

t.test("what is refused is counted at its port, by reason, and its slot comes back", async (t) => {
  const { q, results, c } = queue();
  results.push(EAGAIN, 0, EINVAL);
  for (let i = 0; i < 3; i++) tx.enqueue(q, 1, i, 60, pool.acquire(q.pool));
  tx.flush(q);
  t.equal(c.drops[DropReason.TX_QUEUE_FULL], 1);
  t.equal(c.drops[DropReason.TX_ERROR], 1);
  t.equal(portCounter(c, 1, PortCounter.TX_DROPS), 2);
  t.equal(portCounter(c, 1, PortCounter.TX_PACKETS), 1);
  t.equal(q.pool.count, 4);
});

t.test("a port whose device is gone drops", async (t) => {
  const { q, c } = queue();
  tx.enqueue(q, 3, 0, 60, -1);
  tx.flush(q);
  t.equal(c.drops[DropReason.TX_ERROR], 1);
  t.equal(q.results[0], ENODEV);
});
