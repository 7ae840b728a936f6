// The ring between worker and main thread: what is written is read, in order and whole, or counted as lost.
import fc from "fast-check";
import t from "tap";
import * as ring from "./record-ring.ts";
import { RecordRing } from "./record-ring.ts";

const HEADER = 8; // bytes of the record, header included, and its type: before the body

function write(r: RecordRing, type: number, body: Uint8Array): boolean {
  const at = ring.begin(r, type, body.length);
  if (at < 0) return false;
  r.bytes.set(body, at);
  ring.commit(r);
  return true;
}

function read(r: RecordRing): { type: number; body: Uint8Array } | undefined {
  const at = ring.peek(r);
  if (at < 0) return undefined;
  const [bytes, type] = [r.words[(at >> 2) - 2] - HEADER, r.words[(at >> 2) - 1]];
  const body = r.bytes.slice(at, at + bytes);
  ring.consume(r, at);
  return { type, body };
}

t.test("records come out in order, with type and body", async (t) => {
  const r = new RecordRing(8);
  t.equal(ring.peek(r), -1);
  write(r, 1, Uint8Array.from([1, 2, 3]));
  write(r, 2, Uint8Array.from([4]));
  t.same(read(r), { type: 1, body: Uint8Array.from([1, 2, 3, 0, 0, 0, 0, 0]) });
  t.match(read(r), { type: 2 });
  t.equal(read(r), undefined);
});

t.test("a record that is not committed is not seen", async (t) => {
  const r = new RecordRing(8);
  ring.begin(r, 1, 8);
  t.equal(ring.peek(r), -1);
  ring.commit(r);
  t.ok(ring.peek(r) >= 0);
});

t.test("a full ring loses the new record, counts it, and keeps the old ones", async (t) => {
  const r = new RecordRing(6); // 64 bytes: four records of 16
  for (let i = 0; i < 4; i++) t.ok(write(r, i, new Uint8Array(8)));
  t.notOk(write(r, 9, new Uint8Array(8)));
  t.equal(ring.lost(r), 1);
  for (let i = 0; i < 4; i++) t.equal(read(r)?.type, i);
  t.ok(write(r, 5, new Uint8Array(8)));
});

t.test("a record of more than half the ring gets by its end once the reader has caught up", async (t) => {
  const large = new Uint8Array(160).fill(7);
  for (let before = 0; before < 16; before++) {
    const r = new RecordRing(8);
    for (let i = 0; i < before; i++) {
      write(r, 1, new Uint8Array(8));
      read(r);
    }
    const wrote = write(r, 2, large) || (read(r) === undefined && write(r, 2, large));
    t.ok(wrote, `at ${16 * before}`);
    t.same(read(r)?.body, large);
  }
});

t.test("positions run past 2^32 without a stumble", async (t) => {
  const r = new RecordRing(6);
  r.header[0] = 0x7ffffff0;
  r.header[1] = 0x7ffffff0;
  for (let i = 0; i < 10; i++) {
    t.ok(write(r, i, new Uint8Array(8).fill(i)));
    t.same(read(r), { type: i, body: new Uint8Array(8).fill(i) });
  }
  t.ok(r.header[0] < 0);
});

t.test("whatever is written and read in turns, every record is read whole or counted as lost", async () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 0, max: 60 }) }),
    fc.record({ read: fc.integer({ min: 1, max: 4 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const r = new RecordRing(7);
      const expected: number[] = [];
      let n = 0;
      let lost = 0;
      for (const s of steps) {
        if ("write" in s) {
          n++;
          if (write(r, n, new Uint8Array(s.write).fill(n))) expected.push(n, s.write);
          else lost++;
        } else
          for (let i = 0; i < s.read; i++) {
            const got = read(r);
            const [type, len] = expected.splice(0, 2);
            if (got?.type !== type) throw new Error(`${got?.type}, not ${type}`);
            if (got !== undefined && !got.body.subarray(0, len).every((byte) => byte === (type & 255))) {
              throw new Error("torn");
            }
          }
      }
      if (ring.lost(r) !== lost) throw new Error(`${ring.lost(r)} lost, not ${lost}`);
    }),
  );
});
