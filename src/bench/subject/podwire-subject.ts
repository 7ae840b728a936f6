// podwire itself: a lab of two nodes, brought up by the command that users have. Pods a and b on node1, c
// on node2.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BenchError, onExit, run } from "../shell.ts";
import { type Route, type Subject, TCP_PORTS, UDP_PORTS } from "./subject.ts";

export const SERVICE_B = "10.96.0.101";
const SERVICE_C = "10.96.0.102";

/** The lab of one checkout's command; labs of two can stand side by side. */
export async function makePodwireSubject(
  podwire: string,
  workDir: string,
  { subject, lab: name }: { subject: "podwire" | "before"; lab: string },
): Promise<Subject> {
  const lab = (...args: string[]) => run([podwire, "--lab", name, ...args]);
  const file = await writeLab(workDir, name);
  const remove = async () => void (await run([podwire, "--lab", name, "lab", "down"], { mayFail: true }));
  await remove();
  onExit(remove);
  const up = async () => {
    await lab("lab", "up", "-f", file);
    return routes(await podsByName(name, lab));
  };
  const made: Subject = {
    name: subject,
    routes: await up(),
    remove,
    renew: async () => {
      await remove();
      made.routes = await up();
    },
  };
  return made;
}

/** The lab's file, and what it names. Returns its path. */
export async function writeLab(workDir: string, name: string): Promise<string> {
  await writeFile(join(workDir, "objects.json"), JSON.stringify(objects()));
  const file = join(workDir, "lab.yaml");
  await writeFile(file, JSON.stringify(labFile(name)));
  return file;
}

export interface PodFacts {
  address: string;
  netns: string;
}

export async function podsByName(
  labName: string,
  lab: (...args: string[]) => Promise<string>,
): Promise<Map<string, PodFacts>> {
  const list = JSON.parse(await lab("get", "pods", "-o", "json"));
  const found = new Map<string, PodFacts>();
  for (const pod of list.items) {
    const name: string = pod.metadata.name;
    found.set(name, {
      address: pod.status.podIP ?? pod.status.podIPs[0].ip,
      netns: pod.metadata.annotations?.["podwire.dev/netns"] ?? `/run/netns/pw-${labName}-p-default-${name}`,
    });
  }
  return found;
}

function routes(pods: Map<string, PodFacts>): Route[] {
  const facts = (name: string) => {
    const pod = pods.get(name);
    if (pod === undefined) throw new BenchError(`the lab has no pod ${name}`);
    return pod;
  };
  const [a, b, c] = ["a", "b", "c"].map(facts);
  const client = { clientNetns: a.netns, clientDevice: "eth0", clientAddress: a.address };
  const near = { ...client, path: "same-node" as const, serverNetns: b.netns, serverDevice: "eth0" };
  const far = { ...client, path: "overlay" as const, serverNetns: c.netns, serverDevice: "eth0" };
  return [
    { ...near, target: "pod", address: b.address },
    { ...near, target: "service", address: SERVICE_B },
    { ...far, target: "pod", address: c.address },
    { ...far, target: "service", address: SERVICE_C },
  ];
}

function labFile(name: string): object {
  return {
    apiVersion: "podwire.dev/v1alpha1",
    kind: "Lab",
    metadata: { name },
    spec: {
      clusterCIDR: "10.244.0.0/16",
      serviceCIDR: "10.96.0.0/12",
      overlay: { type: "vxlan", vni: 1, port: 8472 },
      nodes: [{ name: "node1" }, { name: "node2" }],
      manifests: ["objects.json"],
    },
  };
}

function objects(): object {
  return {
    apiVersion: "v1",
    kind: "List",
    items: [
      pod("a", "node1"),
      pod("b", "node1"),
      pod("c", "node2"),
      service("b", SERVICE_B),
      service("c", SERVICE_C),
    ],
  };
}

function pod(name: string, node: string): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: { app: name } },
    spec: {
      nodeName: node,
      containers: [{ name: "idle", image: "podwire/host", command: ["sleep", "infinity"] }],
    },
  };
}

function service(app: string, clusterIP: string): object {
  const port = (protocol: string, number: number) => ({
    name: `${protocol.toLowerCase()}-${number}`,
    protocol,
    port: number,
    targetPort: number,
  });
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: app, namespace: "default" },
    spec: {
      clusterIP,
      selector: { app },
      ports: [
        ...TCP_PORTS.map((number) => port("TCP", number)),
        ...UDP_PORTS.map((number) => port("UDP", number)),
      ],
    },
  };
}
