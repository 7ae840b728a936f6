import t from "tap";
import { Counters, clearPort, countPort, PortCounter, portCounter } from "./counters.ts";

t.test("a port that takes over a number begins at zero, its neighbours keep what they have", async (t) => {
  const counters = new Counters(3);
  const columns: number[] = Object.values(PortCounter);
  for (const port of [0, 1, 2]) for (const column of columns) countPort(counters, port, column, 1 + port);
  clearPort(counters, 1);
  const sums = [0, 1, 2].map((port) =>
    columns.reduce((n, column) => n + portCounter(counters, port, column), 0),
  );
  t.same(sums, [columns.length, 0, 3 * columns.length]);
});
