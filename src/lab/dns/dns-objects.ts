// The objects of a lab's DNS: the Service kube-dns at the tenth address of the service range, as kubeadm has it, and a
// pod that runs `podwire dns` behind it, in a network of its own as every pod.
import type { Cluster } from "../../cluster/cluster.ts";
import type { DnsSettings } from "../../config/dns.ts";
import { formatHostPort } from "../../config/host-port.ts";
import { hash32 } from "../../kube/hash.ts";
import { type Manifest, manifestOf } from "../../kube/manifest/manifest.ts";
import { DNS_IMAGE } from "../pod/pod-env.ts";
import type { LabPaths } from "../state-dir.ts";
import type { Topology } from "../topology.ts";

const NAME = "kube-dns";
const NAMESPACE = "kube-system";
const DNS_PORT = 53;
const METRICS_PORT = 9153;
const LABELS = { "k8s-app": NAME };

/** What the pod's program is told, and the pod of the lab's process that asks the machine's resolvers for it. */
export function dnsConfiguration(t: Topology, dns: DnsSettings, paths: LabPaths): object {
  const { forward, stubDomains, ...settings } = dns;
  const hasSix = t.clusterCidr.includes(":");
  const any = [...(t.clusterCidr.includes(".") ? ["0.0.0.0"] : []), ...(hasSix ? ["::"] : [])];
  return {
    ...{ apiVersion: "podwire.dev/v1alpha1", kind: "DNSConfiguration", ...settings },
    listen: any.map((address) => formatHostPort({ address, port: DNS_PORT })),
    metrics: formatHostPort({ address: hasSix ? "::" : "0.0.0.0", port: METRICS_PORT }),
    // Not by the network: names are to be answered whether or not the plane of its node leads to the API yet.
    source: { kubernetes: { servers: [`unix:${paths.apiSocket}`] } },
    forward: forward === null ? "none" : forward === "host" ? [`unix:${paths.dns}`] : forward.map(serverText),
    stubDomains: Object.fromEntries(
      stubDomains.map(({ domain, servers }) => [domain, servers.map(formatHostPort)]),
    ),
  };
}

/** Puts them among the lab's objects, where they are not there as they should be. `configuration`: its pod's. */
export function applyDns(
  cluster: Cluster,
  t: Topology,
  command: readonly string[],
  configuration: object,
): void {
  const hash = hash32(JSON.stringify(configuration)).toString(16);
  cluster.applyManifests([serviceOf(t), deploymentOf(command, hash)].map((object) => manifest(object)));
}

function manifest(object: object): Manifest {
  return manifestOf(object, "lab");
}

function serverText(
  server: { readonly path: string } | { readonly address: string; readonly port: number },
): string {
  return "path" in server ? `unix:${server.path}` : formatHostPort(server);
}

function serviceOf(t: Topology): object {
  const port = (name: string, protocol: string, port: number): object => ({
    name,
    protocol,
    port,
    targetPort: port,
  });
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: { ...LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "podwire-dns" },
    },
    spec: {
      clusterIP: t.dnsAddress,
      selector: LABELS,
      ports: [
        port("dns", "UDP", DNS_PORT),
        port("dns-tcp", "TCP", DNS_PORT),
        port("metrics", "TCP", METRICS_PORT),
      ],
    },
  };
}

/** `configuration`: its hash. One that reads another configuration is another pod. */
function deploymentOf(command: readonly string[], configuration: string): object {
  const port = (name: string, protocol: string, containerPort: number): object => ({
    name,
    protocol,
    containerPort,
  });
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS },
    spec: {
      replicas: 1,
      selector: { matchLabels: LABELS },
      template: {
        metadata: { labels: LABELS, annotations: { "podwire.dev/configuration": configuration } },
        spec: {
          dnsPolicy: "None", // it does not ask itself
          dnsConfig: { nameservers: ["127.0.0.1"] },
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: "dns",
              image: DNS_IMAGE,
              command,
              ports: [
                port("dns", "UDP", DNS_PORT),
                port("dns-tcp", "TCP", DNS_PORT),
                port("metrics", "TCP", METRICS_PORT),
              ],
            },
          ],
        },
      },
    },
  };
}
