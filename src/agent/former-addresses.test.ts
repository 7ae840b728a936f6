import t from "tap";
import { ip } from "../base/ip.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { TUPLE_WORDS } from "../dataplane/table/connection/tuple.ts";
import { FormerAddresses } from "./former-addresses.ts";

const [A, B, CLIENT] = ["10.244.1.2", "fd00:10:244:1::3", "10.244.1.9"].map((text) => ip(text));
const TCP = 6;

/** From `src` to `dst`; answers come from `from`. */
function enter(table: conntrack.Conntrack, src: typeof A, dst: typeof A, port: number, from = dst): void {
  const meta = (dst.family === 4 ? 4 << 8 : 6 << 8) | TCP;
  const key = Int32Array.of(...words(src), ...words(dst), (port << 16) | 80, meta);
  const reply = Int32Array.of(...words(from), ...words(src), (80 << 16) | port, meta);
  t.ok(conntrack.insert(table, key, reply, 0) >= 0);
}
const words = ({ w0, w1, w2, w3 }: typeof A): number[] => [w0, w1, w2, w3];

t.test(
  "who gets another pod's address gets none of its connections, in either direction or by a service",
  async (t) => {
    const table = new conntrack.Conntrack(6);
    const former = new FormerAddresses();
    enter(table, CLIENT, A, 1);
    enter(table, A, CLIENT, 2);
    enter(table, CLIENT, ip("10.96.0.1"), 3, A);
    enter(table, CLIENT, ip("10.244.1.4"), 4);
    t.equal(
      former.inherited(table, "new", [A]),
      undefined,
      "nobody here had it: an agent that starts finds its pods' own",
    );
    former.left("old", [A, B]);
    t.equal(former.inherited(table, "old", [A]), undefined, "the same pod again");
    former.left("old", [A]);
    const inherited = former.inherited(table, "new", [A]);
    t.same([...(inherited?.slots ?? [])].sort(), [0, 1, 2]);
    t.equal(inherited?.tuples.length, 3 * TUPLE_WORDS);
    t.equal(former.inherited(table, "newer", [A]), undefined, "once");
    t.equal(former.inherited(table, "new", [B]), undefined, "no connections");
  },
);
