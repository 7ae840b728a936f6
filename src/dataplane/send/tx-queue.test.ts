// What is queued leaves in order at each port, in one call of the addon; what a device refuses is counted at
// its port.
import t from "tap";
import { type Io, IoKind } from "../../base/addon.ts";
import { Counters, PortCounter, portCounter } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import { SLOT_STRIDE } from "../packet/packet.ts";
import { type Port, PortRole } from "../port.ts";
import * as pool from "../slot-pool.ts";
import { SlotPool } from "../slot-pool.ts";
import { PortTable } from "./port-table.ts";
import * as tx from "./tx-queue.ts";
import { TxQueue } from "./tx-queue.ts";

const EAGAIN = -11;
const ENODEV = -19;
const EINVAL = -22;

interface Sent {
  readonly to: string;
  readonly off: number;
  readonly len: number;
}

/** Ports 0 and 1 have descriptors 100 and 101, port 2 a device of its own, port 3 nothing. */
function queue(capacity = 8, arenaBytes = 64) {
  const sent: Sent[] = [];
  const joined: number[][] = []; // what the addon was told of pieces, by call
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
      joins?: Int32Array,
    ) => {
      calls.push(count);
      if (joins !== undefined) joined.push([...joins.subarray(0, count)]);
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
  const q = new TxQueue(new Uint8Array(arenaBytes), new SlotPool(0, 4), ports, c, io, { capacity });
  return { q, sent, calls, results, joined, c };
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

/** Frames of ten bytes at 100, 200, 300: the first joined by the third, whose first four bytes stay behind. */
function withPiece(port: number) {
  const all = queue(8, 4 * SLOT_STRIDE);
  const { q } = all;
  for (let i = 0; i < 40; i++) q.arena[100 + 100 * (i >> 3) + (i & 7)] = i;
  tx.enqueue(q, port, 100, 8, -1);
  tx.enqueue(q, port, 200, 8, -1);
  t.equal(tx.enqueuePiece(q, 0, 300, 8, -1, 4), 2);
  t.equal(tx.enqueuePiece(q, 2, 400, 8, pool.acquire(q.pool), 3), 3);
  return all;
}

t.test(
  "a piece is told to the addon with what it leaves out, and counted as a packet of its own",
  async (t) => {
    const { q, calls, joined, c } = withPiece(1);
    tx.flush(q);
    t.same(calls, [4]);
    t.same(joined, [[2, 0, (4 << 16) | 3, 3 << 16]]);
    t.equal(portCounter(c, 1, PortCounter.TX_PACKETS), 4);
    t.equal(portCounter(c, 1, PortCounter.TX_BYTES), 32);
    tx.enqueue(q, 1, 100, 8, -1);
    tx.flush(q);
    t.same(joined[1], [0], "a frame in a place that had pieces has none");
  },
);

t.test("for a device without a descriptor a frame and its pieces are laid end to end", async (t) => {
  const { q, sent, results, c } = withPiece(2);
  const bytes: number[][] = [];
  const soft = q.table.devices[2] as Required<Port>;
  const transmit = soft.transmit.bind(soft);
  soft.transmit = (arena, off, len) => {
    bytes.push([...arena.subarray(off, off + len)]);
    return transmit(arena, off, len);
  };
  results.push(0, EAGAIN);
  tx.flush(q);
  t.same(bytes[0], [0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 27, 28, 29, 30, 31]);
  t.same(bytes[1], [8, 9, 10, 11, 12, 13, 14, 15]);
  t.equal(sent.length, 1);
  t.equal(portCounter(c, 2, PortCounter.TX_PACKETS), 3);
  t.equal(c.drops[DropReason.TX_QUEUE_FULL], 1);
  t.equal(q.pool.count, 4);
});

t.test("what was joined is lost together, each packet counted", async (t) => {
  const { q, results, c } = withPiece(2);
  results.push(EINVAL, 0);
  tx.flush(q);
  t.equal(c.drops[DropReason.TX_ERROR], 3);
  t.equal(portCounter(c, 2, PortCounter.TX_DROPS), 3);
  t.equal(portCounter(c, 2, PortCounter.TX_PACKETS), 1);
});
