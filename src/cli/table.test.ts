import t from "tap";
import { formatTable } from "./table.ts";

t.test("columns are aligned, nothing trails, empty cells say so", async (t) => {
  const columns = [
    { header: "NAME", value: (r: { n: string; c?: number }) => r.n },
    { header: "COUNT", value: (r: { n: string; c?: number }) => r.c },
    { header: "NOTE", value: () => "x", wide: true },
  ];
  const rows = [{ n: "a", c: 10 }, { n: "longer-name" }];
  t.equal(formatTable(columns, rows), "NAME          COUNT\na             10\nlonger-name   <none>");
  t.equal(formatTable(columns, rows.slice(0, 1), true), "NAME   COUNT   NOTE\na      10      x");
});
