import { readFileSync } from "node:fs";
import t from "tap";
import { probability } from "./iptables-service.ts";
import {
  endpointChain,
  type IptablesChain,
  nftEndpointName,
  nftServiceName,
  type PortName,
  serviceChain,
} from "./names.ts";

interface Golden {
  iptables: NamedPort[];
  nftables: NamedPort[];
  statisticProbabilities: { n: number; text: string }[];
}
interface NamedPort {
  service: string;
  portName: string;
  protocol: string;
  chains: Record<string, string>;
  endpoint?: string;
}

const golden = JSON.parse(readFileSync("src/testing/testdata/kube-proxy-names.json", "utf8")) as Golden;

function nameOf({ service, portName, protocol }: NamedPort): PortName {
  const [namespace, name] = service.split("/");
  return { namespace, service: name, port: portName, protocol: protocol.toLowerCase() };
}

for (const port of golden.iptables) {
  t.test(
    `chains of ${port.service}:${port.portName} ${port.endpoint ?? ""} have kube-proxy's names`,
    async (t) => {
      for (const [kind, chain] of Object.entries(port.chains)) {
        const made =
          kind === "SEP"
            ? endpointChain(nameOf(port), port.endpoint as string)
            : serviceChain(kind as IptablesChain, nameOf(port));
        t.equal(made, chain);
      }
    },
  );
}

for (const port of golden.nftables) {
  t.test(`nftables chains of ${port.service}:${port.portName} have kube-proxy's names`, async (t) => {
    for (const [kind, chain] of Object.entries(port.chains)) {
      t.equal(`${kind}-${nftServiceName(nameOf(port))}`, chain);
    }
  });
}

t.test("probabilities are printed with ten digits", async (t) => {
  for (const { n, text } of golden.statisticProbabilities) t.equal(probability(n), text);
});

t.test("the unnamed port is named by its Service alone", async (t) => {
  const name = { namespace: "ns", service: "svc", port: "", protocol: "tcp" };
  t.equal(serviceChain("SVC", name).length, 25);
  t.equal(nftServiceName(name).slice(8), "-ns/svc/tcp/");
});

t.test("colons of an address become dots in a name of nftables", async (t) => {
  const name = { namespace: "ns1", service: "svc1", port: "p80", protocol: "tcp" };
  t.match(nftEndpointName(name, "fd00::1", 80), /^[A-Z2-7]{8}-ns1\/svc1\/tcp\/p80__fd00\.\.1\/80$/);
  t.equal(nftEndpointName(name, "10.180.0.1", 80), "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80");
});

t.test("a name longer than nftables allows is cut, and its hash keeps it apart", async (t) => {
  const long = (last: string) => ({
    namespace: "n".repeat(63),
    service: `${"s".repeat(62)}${last}`,
    port: "p".repeat(63),
    protocol: "sctp",
  });
  const ip = "fd00:1111:2222:3333:4444:5555:6666:7777";
  const a = nftEndpointName(long("a"), ip, 65535);
  t.equal(a.length, 240);
  t.ok(a.endsWith("..."));
  t.not(a, nftEndpointName(long("b"), ip, 65535));
});
