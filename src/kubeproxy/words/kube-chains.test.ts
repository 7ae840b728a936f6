import { readFileSync } from "node:fs";
import t from "tap";
import type { IptablesChain } from "../names.ts";
import { endpointChain, nftEndpointName, nftServiceName, serviceChain } from "./kube-chains.ts";

// From the iptables-save of real clusters; the first three are the same everywhere.
t.test("service chains are named as kube-proxy names them", async (t) => {
  t.equal(serviceChain("default/kubernetes:https", "TCP"), "KUBE-SVC-NPX46M4PTMTKRN6Y");
  t.equal(serviceChain("kube-system/kube-dns:dns", "UDP"), "KUBE-SVC-TCOU7JCQXEZGVUNU");
  t.equal(serviceChain("kube-system/kube-dns:dns-tcp", "TCP"), "KUBE-SVC-ERIFXISQEP7F7OF4");
});

t.test("an endpoint's chain depends on service, protocol and endpoint", async (t) => {
  const chain = endpointChain("default/web:http", "TCP", "10.244.2.2:8080");
  t.match(chain, /^KUBE-SEP-[A-Z2-7]{16}$/);
  t.equal(chain, endpointChain("default/web:http", "tcp", "10.244.2.2:8080"));
  t.not(chain, endpointChain("default/web:http", "UDP", "10.244.2.2:8080"));
  t.not(chain, endpointChain("default/web:http", "TCP", "10.244.2.2:8081"));
});

interface Golden {
  iptables: { service: string; portName: string; protocol: string; chains: Record<string, string> }[];
}

t.test("names are those of the golden file", async (t) => {
  const file = "src/testing/testdata/kube-proxy-names.json";
  const golden = JSON.parse(readFileSync(file, "utf8")) as Golden;
  for (const { service, portName, protocol, chains } of golden.iptables) {
    const name = portName === "" ? service : `${service}:${portName}`;
    for (const [kind, chain] of Object.entries(chains)) {
      if (!["SVC", "SVL", "EXT", "FW"].includes(kind)) continue;
      t.equal(serviceChain(name, protocol, kind as IptablesChain), chain);
    }
  }
});

t.test("nftables names carry what they hash", async (t) => {
  t.equal(nftServiceName("ns1/svc1:p80", "TCP"), "ULMVA6XW-ns1/svc1/tcp/p80");
  t.equal(
    nftEndpointName("ns1/svc1:p80", "TCP", "10.180.0.1", 80),
    "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80",
  );
  t.match(nftServiceName("ns1/svc1", "UDP"), /^[A-Z2-7]{8}-ns1\/svc1\/udp\/$/);
  t.match(nftEndpointName("ns1/svc1", "UDP", "fd00::1", 53), /__fd00\.\.1\/53$/);
  t.equal(
    nftEndpointName(
      `${"n".repeat(63)}/${"s".repeat(63)}:${"p".repeat(63)}`,
      "SCTP",
      `${"f".repeat(39)}`,
      65535,
    ).length,
    240,
  );
});
