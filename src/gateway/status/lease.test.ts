// Who of several has a Lease: one at a time, the next when it lets go or says nothing any more.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import type { Cluster } from "../../cluster/cluster.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { type ListeningCluster, listeningCluster } from "../../testing/api-server/listening-cluster.ts";
import { Lease } from "./lease.ts";

const TIMES = { holdMs: 1000, renewMs: 700, retryMs: 100 };
const KEY = "default/podwire-gateway";

interface Candidate {
  readonly lease: Lease;
  readonly log: string[];
  isHeld(): boolean;
}

function candidate(t: Test, { connection }: ListeningCluster, identity: string, token?: string): Candidate {
  const log: string[] = [];
  let isHeld = false;
  const lease = new Lease({
    ...{
      connection: connection(token),
      namespace: "default",
      name: "podwire-gateway",
      identity,
      times: TIMES,
    },
    onChange: (now) => {
      isHeld = now;
      log.push(now ? "held" : "lost");
    },
    onRefused: (why) => log.push(why),
  });
  t.teardown(() => lease.close());
  return { lease, log, isHeld: () => isHeld };
}

async function until(is: () => boolean): Promise<boolean> {
  for (const end = Date.now() + 10_000; Date.now() < end && !is(); ) await sleep(10);
  return is();
}

const specOf = (cluster: Cluster): Record<string, unknown> =>
  (cluster.get("Lease", KEY) as unknown as { spec: Record<string, unknown> } | undefined)?.spec ?? {};

t.test("one has it, and renews it; the other has it as soon as it lets go", async (t) => {
  const served = await listeningCluster(t);
  const [one, two] = ["one", "two"].map((name) => candidate(t, served, name));
  one.lease.start();
  t.ok(await until(one.isHeld));
  t.match(specOf(served.cluster), {
    ...{ holderIdentity: "one", leaseDurationSeconds: 1, leaseTransitions: 0 },
    acquireTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  });
  two.lease.start();
  const before = specOf(served.cluster).renewTime;
  await sleep(1500); // longer than it is held without a word
  t.not(specOf(served.cluster).renewTime, before);
  t.same([one.log, two.log], [["held"], []]);
  const start = performance.now();
  await one.lease.close();
  t.same(one.log, ["held", "lost"]);
  t.ok(await until(two.isHeld));
  t.ok(performance.now() - start < 900, "nobody waits for who has let go");
  t.match(specOf(served.cluster), { holderIdentity: "two", leaseTransitions: 1 });
});

t.test("whoever says nothing any more loses it, and not sooner than it says", async (t) => {
  const served = await listeningCluster(t);
  const silent = {
    ...{
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "podwire-gateway", namespace: "default" },
    },
    spec: { holderIdentity: "gone", leaseDurationSeconds: 1, renewTime: "2020-01-01T00:00:00.000000Z" },
  };
  served.cluster.update(silent as unknown as KubeObject);
  const one = candidate(t, served, "one");
  const start = performance.now();
  one.lease.start();
  t.ok(await until(one.isHeld));
  t.ok(performance.now() - start > 900, "another one's clock may be wrong by years");
});

t.test("who cannot renew it lets go, and says why once; who may not ask is told", async (t) => {
  const served = await listeningCluster(t);
  const one = candidate(t, served, "one");
  one.lease.start();
  t.ok(await until(one.isHeld));
  const other = {
    ...served.cluster.get("Lease", KEY),
    spec: { ...specOf(served.cluster), holderIdentity: "thief" },
  };
  served.cluster.update(other as unknown as KubeObject);
  t.ok(await until(() => !one.isHeld()), "somebody has it who did not wait");
  const refused = candidate(t, served, "two", "nobody");
  refused.lease.start();
  await sleep(500);
  t.match(refused.log, [/Unauthorized/]);
  t.equal(refused.log.length, 1);
});
