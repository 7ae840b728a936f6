// IPv4 options, good and bad, for the plane's tests and for the comparison with a kernel router. `want` is what comes out
// behind a router whose address towards the destination is RR RR RR RR, towards the sender BB BB BB BB, and whose clock
// says TT TT TT TT; a number is the pointer of a "parameter problem".
export interface OptionCase {
  readonly name: string;
  /** A multiple of 4 bytes; "OO" four times: the router's own address. */
  readonly hex: string;
  readonly want: string | number;
}

export const OPTION_CASES: readonly OptionCase[] = [
  { name: "router alert", hex: "94040000", want: "94040000" },
  { name: "an option nobody knows", hex: "9e040102", want: "9e040102" },
  { name: "route, empty", hex: "070b04 0000000000000000 00", want: "070b08 RRRRRRRR00000000 00" },
  { name: "route, second place", hex: "01 070b08 0102030400000000", want: "01 070b0c 01020304RRRRRRRR" },
  { name: "route, full", hex: "070b0c 0102030405060708 00", want: "070b0c 0102030405060708 00" },
  { name: "route, one word in all", hex: "070704 00000000 00", want: "070708 RRRRRRRR 00" },
  { name: "time alone", hex: "440c0500 0000000000000000", want: "440c0900 TTTTTTTT00000000" },
  { name: "time alone, full", hex: "44080900 01020304", want: "44080910 01020304" },
  { name: "time, the last overflow", hex: "440809e0 01020304", want: "440809f0 01020304" },
  { name: "time, one overflow too many", hex: "440809f0 01020304", want: 23 },
  {
    name: "time and address",
    hex: "44140501 00000000000000000000000000000000",
    want: "44140d01 BBBBBBBBTTTTTTTT0000000000000000",
  },
  { name: "time and address, no room for both", hex: "44080501 00000000", want: 22 },
  {
    name: "time, prespecified, another's",
    hex: "440c0503 cb00710100000000",
    want: "440c0503 cb00710100000000",
  },
  { name: "time, prespecified, ours", hex: "440c0503 OOOOOOOO00000000", want: "440c0d03 OOOOOOOOTTTTTTTT" },
  { name: "time, prespecified, full", hex: "440c0df3 cb00710100000000", want: "440c0df3 cb00710100000000" },
  { name: "time, a flag nobody knows", hex: "440c0502 0000000000000000", want: "440c0502 0000000000000000" },
  {
    name: "route and time",
    hex: "0107070400000000 440c0500 0000000000000000",
    want: "01070708RRRRRRRR 440c0900 TTTTTTTT00000000",
  },
  {
    name: "rubbish behind the end, beside a route",
    hex: "070704 00000000 00 aabbccdd",
    want: "070708 RRRRRRRR 00 00000000",
  },
  { name: "route, pointer below 4", hex: "070703 00000000 00", want: 22 },
  { name: "route, room for half an address", hex: "070606 000000 0000", want: 22 },
  { name: "route, no pointer", hex: "0702 0000", want: 21 },
  { name: "two routes", hex: "070704 00000000 070704 00000000 0000", want: 27 },
  { name: "time, pointer below 5", hex: "44080400 00000000", want: 22 },
  { name: "time, too short", hex: "4403 0500", want: 21 },
  { name: "length 0", hex: "9e000000", want: 20 },
  { name: "length 1", hex: "9e010000", want: 20 },
  { name: "length past the header", hex: "01 9e0400", want: 21 },
  { name: "a kind without a length", hex: "0101019e", want: 23 },
  { name: "router alert, too short", hex: "94030000", want: 21 },
];

/** The bytes of a case; `own`: the router's address in hexadecimal. */
export function optionBytes(hex: string, own: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", "").replace("OOOOOOOO", own), "hex"));
}

/** What came out, with the places of address and time named, where the case wants them and they are right. */
export function optionsText(
  options: Uint8Array,
  want: string,
  way: { own: string; address: string; back: string; dayMs: number },
): string {
  const hex = Buffer.from(options).toString("hex");
  const pattern = want.replaceAll(" ", "").replace("OOOOOOOO", way.own);
  let text = hex;
  for (const name of ["RRRRRRRR", "BBBBBBBB", "TTTTTTTT"]) {
    const at = pattern.indexOf(name);
    if (at < 0) continue;
    const word = text.slice(at, at + 8);
    const late = Math.abs(Number.parseInt(word, 16) - way.dayMs);
    const isRight =
      name !== "TTTTTTTT"
        ? word === (name === "RRRRRRRR" ? way.address : way.back)
        : Math.min(late, 86_400_000 - late) < 10_000;
    if (isRight) text = text.slice(0, at) + name + text.slice(at + 8);
  }
  return text === pattern ? want : text;
}
