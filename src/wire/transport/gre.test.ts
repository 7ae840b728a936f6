import t from "tap";
import { fromHex, viewOf } from "../../testing/frames/bytes.ts";
import * as gre from "./gre.ts";

const cases = [
  { name: "plain GRE", hex: "0000 0800 4500 0054", want: 0 },
  { name: "GRE with a key", hex: "2000 0800 0000 002a", want: 0 },
  { name: "PPTP", hex: "3001 880b 0010 002a 00000001", want: 42 },
  { name: "version 1 with another payload", hex: "3001 0800 0010 002a", want: 0 },
  { name: "PPTP cut short", hex: "3001 880b 0010 00", want: 0 },
  { name: "nothing", hex: "", want: 0 },
];
for (const c of cases) {
  t.test(`call of ${c.name}: ${c.want}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.equal(gre.callId(viewOf(bytes), 0, bytes.length), c.want);
  });
}
