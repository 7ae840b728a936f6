import t from "tap";
import * as columns from "./columns.ts";

t.test("columns follow each other without overlapping, each at a multiple of eight bytes", async (t) => {
  const carve = new columns.ColumnCarver(new ArrayBuffer(columns.HEADER_BYTES + 64));
  carve.header();
  carve.counters();
  t.equal(carve.offsetBytes, columns.HEADER_BYTES);
  const bytes = carve.uint8(3);
  const halves = carve.uint16(5);
  const words = carve.int32(1);
  const doubles = carve.float64(2);
  t.equal(halves.byteOffset, bytes.byteOffset + 8);
  t.equal(words.byteOffset, halves.byteOffset + 16);
  t.equal(doubles.byteOffset, words.byteOffset + 8);
  t.equal(carve.offsetBytes, columns.HEADER_BYTES + 8 + 16 + 8 + 16);
  t.throws(() => carve.uint8(17), RangeError, "past the end of the memory");
});

t.test("fresh memory is claimed once; later openers must want the same table", async (t) => {
  const header = new columns.ColumnCarver(new ArrayBuffer(columns.HEADER_BYTES)).header();
  columns.claimHeader(header, 0x1001, 4, 0xdeadbeef);
  columns.claimHeader(header, 0x1001, 4, 7);
  t.equal(header[columns.Header.SEED], 0xdeadbeef | 0, "the first seed stays");
  t.throws(() => columns.claimHeader(header, 0x1002, 4, 0), RangeError);
  t.throws(() => columns.claimHeader(header, 0x1001, 5, 0), RangeError);
  t.throws(() => columns.claimHeader(header, 0x1001, 2, 0), RangeError);
});

t.test("columns that threads share are taken in the order in which the first one made them", async (t) => {
  const first = new columns.SharedColumns();
  const [words, bytes] = [first.int32(2), first.uint8(3)];
  t.ok(first.isNew && first.isShared && !columns.OWN_COLUMNS.isShared);
  const second = new columns.SharedColumns(first.buffers);
  t.notOk(second.isNew);
  const [same, others] = [second.int32(2), second.uint8(3)];
  words[1] = 7;
  others[2] = 9;
  t.same([same[1], bytes[2]], [7, 9]);
  t.throws(() => second.float64(1), RangeError, "there are no more");
  t.throws(() => new columns.SharedColumns(first.buffers).float64(2), RangeError, "another one");
});
