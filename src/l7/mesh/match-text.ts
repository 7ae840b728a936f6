// Values of an AuthorizationPolicy as texts are compared with them: "abc", "abc*", "*abc", and "*", which is any that is
// there.

export type TextTest = (text: string) => boolean;

/** `isFolded`: capitals and small letters are the same. */
export function textTest(value: string, isFolded = false): TextTest {
  const wanted = isFolded ? value.toLowerCase() : value;
  const seen = isFolded ? (text: string): string => text.toLowerCase() : (text: string): string => text;
  if (wanted === "*") return (text) => text !== "";
  if (wanted.endsWith("*")) {
    const start = wanted.slice(0, -1);
    return (text) => seen(text).startsWith(start);
  }
  if (wanted.startsWith("*")) {
    const end = wanted.slice(1);
    return (text) => seen(text).endsWith(end);
  }
  return (text) => seen(text) === wanted;
}
