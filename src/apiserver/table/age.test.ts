import t from "tap";
import { ageOf, formatAge } from "./age.ts";

t.test("ages are kubectl's", async (t) => {
  const s = 1000;
  const cases: [number, string][] = [
    [0, "0s"],
    [119 * s, "119s"],
    [120 * s, "2m"],
    [302 * s, "5m2s"],
    [600 * s, "10m"],
    [179 * 60 * s, "179m"],
    [185 * 60 * s, "3h5m"],
    [8 * 3600 * s, "8h"],
    [47 * 3600 * s, "47h"],
    [52 * 3600 * s, "2d4h"],
    [8 * 86400 * s, "8d"],
    [800 * 86400 * s, "2y70d"],
    [-500, "0s"],
    [-5000, "<invalid>"],
  ];
  for (const [ms, want] of cases) t.equal(formatAge(ms), want, want);
  t.equal(ageOf("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:05:02Z")), "5m2s");
  t.equal(ageOf(undefined), "<unknown>");
});
