import t from "tap";
import { finished } from "./complete-checksum.ts";

t.test(
  "a sum of all ones is 0 for TCP, as RFC 1624 has it, and 0xffff for UDP, whose 0 means none",
  async (t) => {
    t.equal(finished(0xffff, 16), 0);
    t.equal(finished(0xffff, 6), 0xffff);
    t.equal(finished(0x1234, 16), 0xedcb);
    t.equal(finished(0x1234, 6), 0xedcb);
  },
);
