// Which words of the connection table's header a configuration sets.
import t from "tap";
import { agentConfig } from "../config/agent.ts";
import { H_TIMEOUTS, Timeout } from "../dataplane/table/connection/conntrack.ts";
import { TcpState } from "../dataplane/table/connection/ct-states.ts";
import {
  H_IPVS_SET,
  H_IPVS_TCP,
  H_IPVS_TCP_FIN,
  H_IPVS_UDP,
} from "../dataplane/table/connection/ipvs-timeouts.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { conntrackSettings } from "./conntrack-settings.ts";

function words(proxy: object, conntrack: object = {}): Map<number, number> {
  const problems = new FieldProblems();
  const config = agentConfig(
    {
      apiVersion: "podwire.dev/v1alpha1",
      kind: "AgentConfiguration",
      nodeName: "node1",
      clusterCIDR: "10.244.0.0/16",
      serviceCIDR: "10.96.0.0/12",
      fabricCIDR: "192.168.50.0/24",
      overlay: { type: "none" },
      uplink: { interface: "eth0" },
      host: { interface: "host0" },
      socket: "/nonexistent",
      source: { files: [] },
      proxy,
      conntrack,
    },
    problems,
  );
  if (config === undefined) throw new Error(JSON.stringify(problems.list));
  return new Map(conntrackSettings(config));
}

t.test("kube-proxy's values come first, sysctls of the agent have the last word", async (t) => {
  const established = H_TIMEOUTS + Timeout.TCP + TcpState.ESTABLISHED;
  t.equal(words({}).get(established), 86_400);
  t.equal(words({ conntrack: { tcpEstablishedTimeout: "2h" } }).get(established), 7200);
  const both = words(
    { conntrack: { tcpEstablishedTimeout: "2h" } },
    { nf_conntrack_tcp_timeout_established: 99 },
  );
  t.equal(both.get(established), 99);
  t.equal(words({ conntrack: { tcpEstablishedTimeout: "0s" } }).get(established), undefined);
});

t.test("IPVS's time-outs count in ipvs mode, in whole seconds, where they are set", async (t) => {
  const ipvs = { tcpTimeout: "15m", tcpFinTimeout: "1500ms", udpTimeout: "250ms" };
  const set = words({ mode: "ipvs", ipvs });
  t.same(
    [H_IPVS_SET, H_IPVS_TCP, H_IPVS_TCP_FIN, H_IPVS_UDP].map((word) => set.get(word)),
    [1, 900, 1, 0],
  );
  t.equal(words({ mode: "iptables", ipvs }).has(H_IPVS_SET), false);
  t.equal(words({ mode: "ipvs" }).has(H_IPVS_SET), false);
  t.equal(words({ mode: "ipvs", ipvs: { udpTimeout: "999ms" } }).has(H_IPVS_SET), false);
});
