import t from "tap";
import { searchRate } from "./search-rate.ts";

/** A thing that carries so much; what it was asked. */
async function search(carries: number, most: number, isUnlucky: (trial: number) => boolean = () => false) {
  const tried: number[] = [];
  const rate = await searchRate(most, 7, async (asked) => {
    tried.push(asked);
    return asked <= carries && !isUnlucky(tried.length);
  });
  return { rate, tried };
}

t.test("the rate found is carried, and one step more is not", async (t) => {
  for (const carries of [0, 1, 37, 500, 641, 999]) {
    const { rate, tried } = await search(carries, 1000);
    t.ok(rate <= carries, `${rate} of ${carries}`);
    t.ok(carries - rate <= 1000 / 2 ** 7, `${rate} of ${carries}`);
    t.ok(tried.length <= 2 * 8, "bounded");
  }
});

t.test("what carries the most that is offered is not searched any further", async (t) => {
  t.same(await search(5000, 1000), { rate: 1000, tried: [1000] });
});

t.test("one trial that fails by chance does not make a rate a bad one", async (t) => {
  const { rate } = await search(500, 1000, (trial) => trial % 5 === 3);
  t.ok(500 - rate <= 1000 / 2 ** 7, String(rate));
});
