import t from "tap";
import { aboveZero, atLeastOne } from "./numbers.ts";

t.test("what is no number above zero is refused", async (t) => {
  t.same(["1", "2000"].map(atLeastOne), [1, 2000]);
  t.same(["0.5", "3"].map(aboveZero), [0.5, 3]);
  for (const text of ["", "x", "0", "-1", "NaN", "Infinity", "1x"]) {
    t.throws(() => atLeastOne(text), { message: /whole number above 0/ }, text);
    t.throws(() => aboveZero(text), { message: /number above 0/ }, text);
  }
  t.throws(() => atLeastOne("0.5"), { message: /whole number above 0/ });
});
