import t from "tap";
import { HEADROOM, SLOT_STRIDE } from "./packet/packet.ts";
import * as pool from "./slot-pool.ts";
import { SlotPool } from "./slot-pool.ts";

t.test("every slot is handed out once, then none", async (t) => {
  const p = new SlotPool(10, 4);
  const got = [1, 2, 3, 4].map(() => pool.acquire(p));
  t.same(got.sort(), [10, 11, 12, 13]);
  t.equal(pool.acquire(p), -1);
  pool.release(p, 12);
  t.equal(pool.acquire(p), 12);
});

t.test("what waits leaves a quarter of the slots to what does not", async (t) => {
  const p = new SlotPool(0, 8);
  let kept = 0;
  while (pool.acquireToKeep(p) >= 0) kept++;
  t.equal(kept, 6);
  t.ok(pool.acquire(p) >= 0);
  t.ok(pool.acquire(p) >= 0);
  t.equal(pool.acquire(p), -1);
});

t.test("a frame in a slot has room for a virtio header and a tunnel's headers before it", async (t) => {
  t.equal(pool.frameOffset(3), 3 * SLOT_STRIDE + HEADROOM);
  t.ok(HEADROOM >= 50 + 10 + 14);
  t.not(SLOT_STRIDE % 4096, 0, "slots must not share cache sets");
});
