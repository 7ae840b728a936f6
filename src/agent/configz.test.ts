import t from "tap";
import { defaultProxyConfig, readProxyConfig } from "../config/proxy.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { configz, formatDuration } from "./configz.ts";

t.test("what /configz shows reads back as the same configuration", async (t) => {
  const files: object[] = [
    {},
    { mode: "nftables", nftables: { masqueradeAll: true, masqueradeBit: 3, syncPeriod: "1m30s" } },
    { mode: "ipvs", ipvs: { scheduler: "wrr", excludeCIDRs: ["10.0.0.0/8"], tcpTimeout: "250ms" } },
    { mode: "userspace", nodePortAddresses: ["primary"], healthzBindAddress: "", clusterCIDR: "fd00::/48" },
    { detectLocalMode: "BridgeInterface", detectLocal: { bridgeInterface: "cbr0" } },
    { conntrack: { maxPerCore: 1, min: 2, tcpEstablishedTimeout: "0s", udpTimeout: "1.5s" } },
  ];
  for (const file of files) {
    const problems = new FieldProblems();
    const config = readProxyConfig(file, problems);
    const shown = configz(config)["kubeproxy.config.k8s.io"];
    t.same(readProxyConfig(JSON.parse(JSON.stringify(shown)), problems), config, JSON.stringify(file));
    t.same(problems.list, []);
  }
  t.match(configz(defaultProxyConfig("10.244.0.0/16")), {
    "kubeproxy.config.k8s.io": { clusterCIDR: "10.244.0.0/16", iptables: { syncPeriod: "30s" } },
  });
});

t.test("durations are printed as Go prints them", async (t) => {
  const cases: [number | null, string][] = [
    [null, "0s"],
    [0, "0s"],
    [0.25, "250ms"],
    [1.5, "1.5s"],
    [90, "1m30s"],
    [3600, "1h0m0s"],
    [86_400, "24h0m0s"],
  ];
  for (const [seconds, want] of cases) t.equal(formatDuration(seconds), want);
});
