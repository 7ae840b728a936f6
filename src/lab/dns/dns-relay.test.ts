import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { retell } from "../../dns/answer.ts";
import { type Query, readQuery } from "../../dns/query.ts";
import { Upstream } from "../../dns/upstream.ts";
import { DnsPeer } from "../../testing/dns/dns-peer.ts";
import { queryBytes, textOf } from "../../testing/dns/dns-text.ts";
import { startDnsRelay } from "./dns-relay.ts";

t.test("a pod's questions are asked for it, and come back whole", async (t) => {
  const other = await DnsPeer.start();
  const folder = await mkdtemp(join(tmpdir(), "podwire-relay-")); // a socket's path has 107 octets at most
  const path = join(folder, "dns.sock");
  const relay = await startDnsRelay(path, [other.server]);
  const upstream = new Upstream([{ path }]);
  t.teardown(async () => {
    upstream.close();
    relay.close();
    await other.stop();
    await rm(folder, { recursive: true, force: true });
  });
  other.says = ({ name }, protocol) =>
    protocol === "udp" && name.startsWith("big")
      ? { truncated: true }
      : { answers: [{ type: "A", name, ttl: 60, data: "192.0.2.1" }] };
  const ask = async (name: string): Promise<string[] | undefined> => {
    const bytes = queryBytes(name, "A");
    const query = readQuery(bytes) as Query;
    const answer = await upstream.ask(bytes, query, "udp");
    return answer === undefined ? undefined : textOf(retell(answer, bytes, query, 65_535, 0));
  };
  t.same(await ask("a.example"), ["NOERROR ra", "a.example 60 A 192.0.2.1"]);
  t.same(await ask("big.example"), ["NOERROR ra", "big.example 60 A 192.0.2.1"]);
  t.same(other.asked, ["udp A a.example", "udp A big.example", "tcp A big.example"]);
  const again = await startDnsRelay(path, []);
  t.teardown(() => again.close());
  t.same(
    await ask("a.example"),
    ["SERVFAIL ra"],
    "it takes the place of one that was killed; nobody is there to ask",
  );
});
