import t from "tap";
import { translations } from "./packet-ends.ts";

const ping = { icmpType: 8, icmpCode: 0 };

t.test("what differs, destination first", async (t) => {
  const sent = { src: "10.244.1.2", dst: "10.96.0.80", sport: 41000, dport: 80 };
  t.same(
    translations({}, sent, { ...sent, src: "10.244.1.0", dst: "10.244.2.3", sport: 50000, dport: 8080 }),
    ["DNAT 10.96.0.80:80 → 10.244.2.3:8080", "SNAT 10.244.1.2:41000 → 10.244.1.0:50000"],
  );
  t.same(translations({}, sent, sent), []);
});

t.test("a masqueraded ping: its id is the sender's, in the answer the receiver's", async (t) => {
  const asked = { ...ping, src: "10.244.1.2", dst: "192.168.50.100", icmpId: 7 };
  t.same(translations({ ctDirection: "original" }, asked, { ...asked, src: "192.168.50.11", icmpId: 9 }), [
    "SNAT 10.244.1.2 id 7 → 192.168.50.11 id 9",
  ]);
  const answer = { src: "192.168.50.100", dst: "192.168.50.11", icmpType: 0, icmpCode: 0, icmpId: 9 };
  t.same(translations({ ctDirection: "reply" }, answer, { ...answer, dst: "10.244.1.2", icmpId: 7 }), [
    "DNAT 192.168.50.11 id 9 → 10.244.1.2 id 7",
  ]);
  t.same(translations({ ctDirection: "reply" }, answer, { ...answer, icmpId: 7 }), [
    "DNAT 192.168.50.11 id 9 → 192.168.50.11 id 7",
  ]);
});
