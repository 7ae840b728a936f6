import t from "tap";
import { endpointChain, serviceChain } from "./kube-chains.ts";

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
