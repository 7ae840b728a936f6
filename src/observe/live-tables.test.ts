import t from "tap";
import * as fdb from "../dataplane/table/fdb.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import { listFdb, listNeighbors } from "./live-tables.ts";

t.test("the forwarding database lists what has not expired", async (t) => {
  const table = new fdb.Fdb(4);
  fdb.learn(table, 0x0200, 5, 6, 10);
  fdb.learn(table, 0x0200, 7, 6, 100);
  const age = fdb.AGE_SEC;
  const later = { macHi: 0x0200, macLo: 7, port: 6, isStatic: false, expiresAtSec: 100 + age };
  t.same(listFdb(table, 10 + age), [later]);
  t.same(listFdb(table, 9 + age).length, 2);
});

t.test("neighbours are listed with their state and what waits, from another's memory too", async (t) => {
  const memory = new SharedArrayBuffer(neighbor.Neighbors.bytesFor(3));
  const table = new neighbor.Neighbors(3, memory, 9);
  const slot = neighbor.resolve(table, 0, 0, 0xffff, 7, 100);
  neighbor.enqueue(table, slot, 1, 60);
  const address = { w0: 0, w1: 0, w2: 0xffff, w3: 7 };
  t.same(listNeighbors(new neighbor.Neighbors(3, memory)), [
    {
      ...{ ...address, macHi: 0, macLo: 0, port: neighbor.NO_PORT },
      ...{ state: neighbor.State.INCOMPLETE, waiting: 1 },
    },
  ]);
});
