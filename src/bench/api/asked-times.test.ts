import t from "tap";
import { readAsked, untilAnswered, untilSilent } from "./asked-times.ts";

const TEXT = "asking\n2000000 -\n1000000 -\n5000000 5200000\n3000000 6000000\n9000000 -\n";

t.test("questions are read in the order of their sending, halves of lines are not", (t) => {
  t.same(readAsked(`${TEXT}10000000 1`).at(-1), { sent: 10, answered: 0.000001 });
  t.same(
    readAsked(`${TEXT}10000000 `).map(({ sent }) => sent),
    [1, 2, 3, 5, 9],
  );
  t.end();
});

t.test("a change is there with the first answer after it, or gone with the last", (t) => {
  const asked = readAsked(TEXT);
  t.equal(untilAnswered(asked, 4, 20)?.toFixed(1), "1.2", "whichever question it was");
  t.equal(untilAnswered(asked, 7, 20), undefined);
  t.equal(untilSilent(asked, 2.5, 20), 2.5, "the one sent at 5");
  t.equal(untilSilent(asked, 6, 20), 0);
  t.end();
});
