import t from "tap";
import { formatHostPort, parseHostPort } from "./host-port.ts";

const cases: [text: string, want: { address: string; port: number } | null][] = [
  ["0.0.0.0:10256", { address: "0.0.0.0", port: 10256 }],
  ["127.0.0.1:1", { address: "127.0.0.1", port: 1 }],
  ["[::]:65535", { address: "::", port: 65535 }],
  ["[fd00::1]:80", { address: "fd00::1", port: 80 }],
  ["", null],
  ["0.0.0.0", null],
  [":10256", null],
  ["0.0.0.0:0", null],
  ["0.0.0.0:65536", null],
  ["0.0.0.0:http", null],
  ["localhost:10256", null],
  ["010.0.0.1:80", null],
  [":::10256", null],
  ["[127.0.0.1]:80", null],
  ["[::]10256", null],
  ["0.0.0.0:10256 ", null],
];
for (const [text, want] of cases) {
  t.test(`"${text}" is ${want === null ? "no" : "an"} IP:port`, async (t) => {
    t.same(parseHostPort(text), want);
    if (want !== null) t.equal(formatHostPort(want), text);
  });
}
