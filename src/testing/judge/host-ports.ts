// Host ports for the pods of a scenario: of every protocol, at every address or at one, beside node ports and external
// addresses of the same number; and what becomes of them some time later. Drawn apart from the rest, so that a seed's
// Services stay what they are.
import { hostPortsOf, isInTheWay, type PodHostPort } from "../../kube/host-ports.ts";
import type { KubeObject, Pod, Service } from "../../kube/objects.ts";
import { Prng } from "../prng.ts";
import { ofFamily, otherFamily, type World } from "./world.ts";

const DRAWN_BY = 0x4057;
const CHANGED_BY = 0x907e;
const PORTS = [8088, 8088, 80, 53];
const PROTOCOLS = ["TCP", "TCP", "UDP", "UDP", "SCTP"];
const CONTAINER_PORTS = [8080, 8080, 9090];

/** Of a scenario, what matters here. */
interface Cluster {
  readonly seed: number;
  readonly world: World;
  readonly objects: readonly KubeObject[];
  readonly services: readonly Service[];
}

/** The scenario's pods with host ports; two of three scenarios have some. */
export function withHostPorts<T extends Cluster>(s: T): T {
  const random = new Prng(s.seed ^ DRAWN_BY);
  if (random.below(3) === 0) return s;
  const held: PodHostPort[] = [];
  const objects = s.objects.map((object) =>
    object.kind === "Pod" && random.below(2) === 0 ? holder(object as Pod, s, random, held) : object,
  );
  return { ...s, objects };
}

function holder(pod: Pod, s: Cluster, random: Prng, held: PodHostPort[]): Pod {
  const ports: PodHostPort[] = [];
  for (let i = 1 + random.below(3); i > 0; i--) {
    const port = {
      hostPort: random.pick([...PORTS, ...servicePorts(s)]),
      protocol: random.pick(PROTOCOLS),
      hostIP: random.pick(hostIps(s.world)),
      containerPort: random.pick(CONTAINER_PORTS),
    };
    if (held.some((other) => isInTheWay(port, other))) continue; // the scheduler would not have it
    held.push(port);
    ports.push(port);
  }
  return withPorts(pod, ports);
}

function withPorts(pod: Pod, ports: readonly PodHostPort[]): Pod {
  return { ...pod, spec: { ...pod.spec, containers: [{ name: "c", image: "a", ports }] } } as unknown as Pod;
}

/** Node ports, health checks' among them, and ports at external addresses that may be the node's own. */
function servicePorts({ services }: Cluster): number[] {
  const all = services.flatMap(({ spec }) => [
    ...(spec.ports ?? []).flatMap(({ port, nodePort = 0 }) => [port, nodePort, nodePort]),
    spec.healthCheckNodePort ?? 0,
  ]);
  return all.filter((port) => port !== 0);
}

function hostIps(world: World): string[] {
  const { nodeIp, secondIp, gateway, neighbors, clusterIp, family } = world;
  const own = [nodeIp, secondIp, gateway, family === 4 ? "127.0.0.1" : "::1"];
  const others = [neighbors[0] as string, clusterIp(0), otherFamily(world).nodeIp];
  return ["", "", "", "", "0.0.0.0", "::", ...own, ...others];
}

/** A scenario's nodes and pods alone: where a test lets its own services be. */
export function placesOf({ objects }: Cluster): KubeObject[] {
  const places = objects.filter(({ kind }) => kind === "Node" || kind === "Pod");
  return places.map((object) => (object.kind === "Pod" ? withPorts(object as Pod, []) : object));
}

/** Every third pod loses its ports, moves them to the next pod, or gets another container port. */
export function laterHostPorts(objects: readonly KubeObject[], seed: number): KubeObject[] {
  const random = new Prng(seed ^ CHANGED_BY);
  const all = objects.filter((object): object is Pod => object.kind === "Pod");
  const now = new Map(all.map((pod) => [pod, hostPortsOf(pod.spec)]));
  for (const [i, pod] of all.entries()) {
    const next = all[(i + 1) % all.length] as Pod;
    const ports = now.get(pod) ?? [];
    switch (random.below(6)) {
      case 0:
        now.set(pod, []);
        break;
      case 1:
        now.set(pod, now.get(next) ?? []);
        now.set(next, ports);
        break;
      case 2:
        now.set(
          pod,
          ports.map((port) => ({ ...port, containerPort: 7070 })),
        );
        break;
      default:
    }
  }
  return objects.map((object) => {
    const ports = now.get(object as Pod);
    return ports === undefined ? object : withPorts(object as Pod, ports);
  });
}

/** Where somebody might look for a host port. */
export function hostPortsIn({ objects }: Cluster): PodHostPort[] {
  return objects.flatMap((object) => (object.kind === "Pod" ? hostPortsOf((object as Pod).spec) : []));
}

/** Those that are served at an address of the node. */
export function hostPortsAt(s: Cluster, address: string): PodHostPort[] {
  const everywhere = ["", s.world.family === 4 ? "0.0.0.0" : "::"];
  return hostPortsIn(s).filter(({ hostIP }) => hostIP === address || everywhere.includes(hostIP));
}

/** Host port → what its UDP connections are led by, in text. */
export function udpHostPorts({ objects, world }: Cluster): Map<number, string> {
  const served = new Map<number, string>();
  for (const object of objects) {
    if (object.kind !== "Pod") continue;
    const { spec, status } = object as Pod;
    const own = status.podIPs?.find(({ ip = "" }) => ip.includes(":") === (world.family === 6))?.ip;
    for (const { protocol, hostPort, hostIP, containerPort } of hostPortsOf(spec)) {
      if (protocol !== "UDP") continue;
      served.set(hostPort, `${served.get(hostPort) ?? ""} ${hostIP}>${own}:${containerPort}`);
    }
  }
  return served;
}

/** "10.244.1.2:8080" of every host port. */
export function hostPortEndpoints({ objects, world }: Cluster): string[] {
  return objects.flatMap((object) => {
    if (object.kind !== "Pod") return [];
    const { spec, status } = object as Pod;
    const own = ofFamily(
      world,
      (status.podIPs ?? []).flatMap(({ ip }) => ip ?? []),
    );
    return own.flatMap((ip) => hostPortsOf(spec).map(({ containerPort }) => `${ip}:${containerPort}`));
  });
}
