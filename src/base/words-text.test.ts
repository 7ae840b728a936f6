import fc from "fast-check";
import t from "tap";
import { textOfWords, wordsOfText } from "./words-text.ts";

const word = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, -1, 63, 64, -64, -65, 0xffff, 2 ** 31 - 1, -(2 ** 31)),
);
const words = fc.array(word, { maxLength: 50 }).map((list) => Int32Array.from(list));

t.test("words come out of their text as they were, and other words have another text", async () => {
  fc.assert(
    fc.property(words, words, (one, other) => {
      const isSame = one.length === other.length && one.every((value, i) => value === other[i]);
      return (
        String(wordsOfText(textOfWords(one))) === String(one) &&
        (textOfWords(one) === textOfWords(other)) === isSame
      );
    }),
  );
});

t.test("a small word is a character, an address five, a long text is whole", async (t) => {
  t.equal(textOfWords(Int32Array.of(0, 63, -64)).length, 3);
  t.equal(textOfWords(Int32Array.of(-1062731775)).length, 5);
  const many = Int32Array.from({ length: 5000 }, (_, i) => Math.imul(i, 0x9e3779b1));
  t.same(wordsOfText(textOfWords(many)), many);
});
