// A gateway that is attacked, for a moment by each attack (fuzz-gateway.ts); scripts/fuzz goes on as long as one wants.
import t from "tap";
import { toHex } from "../frames/bytes.ts";
import { fuzz, targets } from "./fuzz.ts";
import { runGatewayFuzz } from "./fuzz-gateway.ts";

t.setTimeout(240_000);

t.test("attacks harm nobody but who attacks", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { lines, findings } = await runGatewayFuzz({ seed, seconds: 0.7 });
  for (const line of lines) t.comment(line);
  t.same(findings, [], `seed ${seed}`);
});

for (const target of ["hello", "proxy-header"]) {
  t.test(`20,000 beginnings gone wrong find nothing: ${target}`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const subject = targets.get(target);
    if (subject === undefined) throw new Error(target);
    const { runs, finding } = fuzz({ ...subject, seed, seconds: 60, maxRuns: 20_000 });
    t.equal(finding, undefined, `seed ${seed}: ${finding && `${finding.error} ${toHex(finding.frame)}`}`);
    t.ok(runs > 5000, `${runs} of them`);
  });
}
