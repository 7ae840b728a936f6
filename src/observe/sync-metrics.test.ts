import t from "tap";
import { lintExposition, parseExposition } from "../testing/exposition-checker.ts";
import { Exposition } from "./exposition.ts";
import { SyncMetrics } from "./sync-metrics.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);

function read(metrics: SyncMetrics): (sample: string) => number | undefined {
  const out = new Exposition();
  metrics.write(out);
  const families = parseExposition(out.toString());
  t.same(lintExposition(families), []);
  return (sample) => families.get(sample.replace(/(?:_bucket|_sum|_count)?\{.*/, ""))?.samples.get(sample);
}

t.test("changes are counted when they come and wait until they are in force", async (t) => {
  const metrics = new SyncMetrics(() => START);
  metrics.serviceChanged();
  metrics.endpointsChanged({ key: "ns/a", family: "IPv4", triggerTime: undefined });
  metrics.endpointsGone("ns/a");
  metrics.applying();
  metrics.serviceChanged();
  let value = read(metrics);
  t.equal(value("kubeproxy_sync_proxy_rules_service_changes_total{}"), 2);
  t.equal(value("kubeproxy_sync_proxy_rules_service_changes_pending{}"), 2);
  t.equal(value("kubeproxy_sync_proxy_rules_endpoint_changes_pending{}"), 2);
  metrics.applied({ sync: "partial", seconds: 0.003 });
  value = read(metrics);
  t.equal(value("kubeproxy_sync_proxy_rules_service_changes_pending{}"), 1, "came while applying");
  t.equal(value("kubeproxy_sync_proxy_rules_endpoint_changes_pending{}"), 0);
  t.equal(value("kubeproxy_sync_proxy_rules_endpoint_changes_total{}"), 2);
});

t.test("durations are told by family, full and partial apart", async (t) => {
  let now = START;
  const metrics = new SyncMetrics(() => now);
  metrics.families = ["IPv4", "IPv6"];
  metrics.queued();
  now += 1500;
  metrics.applied({ sync: "full", seconds: 0.0015 });
  metrics.applied({ sync: "partial", seconds: 20 });
  const value = read(metrics);
  for (const family of metrics.families) {
    const label = `ip_family="${family}"`;
    t.equal(value(`kubeproxy_sync_proxy_rules_duration_seconds_count{${label}}`), 2);
    t.equal(value(`kubeproxy_sync_full_proxy_rules_duration_seconds_sum{${label}}`), 0.0015);
    t.equal(value(`kubeproxy_sync_full_proxy_rules_duration_seconds_bucket{${label},le="0.001"}`), 0);
    t.equal(value(`kubeproxy_sync_full_proxy_rules_duration_seconds_bucket{${label},le="0.002"}`), 1);
    t.equal(value(`kubeproxy_sync_partial_proxy_rules_duration_seconds_bucket{${label},le="16.384"}`), 0);
    t.equal(value(`kubeproxy_sync_proxy_rules_last_timestamp_seconds{${label}}`), START / 1000 + 1.5);
    t.equal(value(`kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{${label}}`), START / 1000);
  }
  t.equal(value("podwire_apply_duration_seconds_count{}"), 2);
  metrics.applied({ sync: "none", seconds: 1 });
  t.equal(read(metrics)("podwire_apply_duration_seconds_count{}"), 3, "a pod's port alone is no sync");
  t.equal(read(metrics)('kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}'), 2);
});

t.test(
  "network programming is measured from the trigger to the end of the sync, once a trigger",
  async (t) => {
    let now = START;
    const metrics = new SyncMetrics(() => now);
    const change = (key: string, triggerTime: string) =>
      metrics.endpointsChanged({ key, family: "IPv4", triggerTime });
    const sync = (): void => {
      metrics.applying();
      metrics.applied({ sync: "partial", seconds: 0 });
    };
    const name = "kubeproxy_network_programming_duration_seconds";
    const got = () => ["_count", "_sum"].map((part) => read(metrics)(`${name}${part}{ip_family="IPv4"}`));
    change("ns/old", "2026-01-02T03:04:04Z");
    sync();
    t.same(got(), [0, 0], "triggered before this process began");
    now += 2000;
    change("ns/a", "2026-01-02T03:04:05.500000001Z");
    t.same(got(), [0, 0], "not in force yet");
    sync();
    t.same(got(), [1, 1.5]);
    change("ns/a", "2026-01-02T03:04:05.500000001Z");
    sync();
    t.same(got(), [1, 1.5], "the same slice again");
    change("ns/a", "2026-01-02T03:04:09Z");
    sync();
    t.same(got(), [2, 1.5], "a clock that is ahead of ours is no negative time");
    change("ns/a", "not a time");
    sync();
    t.same(got(), [2, 1.5]);
  },
);
