// ClusterIPs, node ports and health-check node ports. As the API server does it: what the manifest asks for is honoured
// or refused, what it leaves out is kept from the object's earlier version, and the rest is allocated from the upper
// part of the range, so that the lower part stays free for those who choose. Where a new address is taken from depends
// on the Service's name, not on chance: the same objects get the same addresses in every lab.
import { PodwireError } from "../../base/errors.ts";
import { type Cidr, formatCidr, formatIp, ip, nthIp, offsetIn, sizeOf } from "../../base/ip.ts";
import { hash32 } from "../../kube/hash.ts";
import { type FieldPath, formatPath } from "../../kube/manifest/field-problems.ts";
import { keyOf, type Service, type ServicePort } from "../../kube/objects.ts";
import { NumberPool } from "./address-pool.ts";

const NODE_PORT_FIRST = 30000;
const NODE_PORT_LAST = 32767;
const RESERVED = "default/kubernetes"; // owner of the first address of every service range

/** A request that cannot be granted; `data.path` is the field that asks. The message is the API server's. */
class AllocationError extends PodwireError {
  constructor(path: FieldPath, message: string, code: string) {
    super(`${formatPath(path)}: ${message}`, { code, path });
  }
}

/** What a Service had before a restart. */
export interface SavedService {
  readonly clusterIPs: readonly string[];
  /** By "protocol/port". */
  readonly nodePorts: Readonly<Record<string, number>>;
  readonly healthCheckNodePort?: number;
}

interface AddressRange {
  readonly cidr: Cidr;
  readonly pool: NumberPool;
  readonly dynamicFrom: number;
}

export class ServiceAllocator {
  readonly #ranges: readonly AddressRange[];
  readonly #ports = new NumberPool(NODE_PORT_FIRST, NODE_PORT_LAST);
  readonly #savedPorts = new Map<string, number>();
  readonly #held = new Map<string, { pool: NumberPool; n: number }[]>();
  readonly #portsFrom = NODE_PORT_FIRST + staticBand(this.#ports.size, 16, 32, 128);

  constructor(serviceCidrs: readonly Cidr[]) {
    this.#ranges = serviceCidrs.map((range) => {
      const last = Math.max(1, sizeOf(range) - (range.family === 4 ? 2 : 1));
      const pool = new NumberPool(1, last);
      pool.claim(1, RESERVED);
      return { cidr: range, pool, dynamicFrom: staticBand(last, 16, 16, 256) };
    });
  }

  remember(key: string, saved: SavedService): void {
    for (const text of saved.clusterIPs) {
      if (text === "None") continue;
      for (const range of this.#ranges) range.pool.remember(offsetIn(range.cidr, ip(text)), key);
    }
    const health = saved.healthCheckNodePort === undefined ? {} : { health: saved.healthCheckNodePort };
    for (const [port, n] of Object.entries({ ...saved.nodePorts, ...health })) {
      this.#ports.remember(n, key);
      this.#savedPorts.set(`${key} ${port}`, n);
    }
  }

  /** The Service with everything allocated; what `old`, its stored version, has is kept where the new one needs it. */
  allocate(service: Service, old?: Service): Service {
    const made: Service = { ...service, spec: { ...service.spec } };
    if (old !== undefined) keepAllocated(made, old);
    this.release(keyOf(service));
    this.#allocateAddresses(made);
    this.#allocatePorts(made);
    return made;
  }

  /** Gives back what the Service holds. */
  release(key: string): void {
    for (const { pool, n } of this.#held.get(key) ?? []) pool.release(n);
    this.#held.delete(key);
  }

  /** As `release`, and it will not come back: nothing is kept for it any more. */
  forget(key: string): void {
    this.release(key);
    for (const { pool } of this.#ranges) pool.forget(key);
    this.#ports.forget(key);
  }

  #allocateAddresses(service: Service): void {
    const spec = service.spec;
    if (spec.type === "ExternalName") {
      delete spec.clusterIP;
      delete spec.clusterIPs;
      return;
    }
    const families = this.#families(service);
    spec.ipFamilies = families;
    if (spec.clusterIP === "None") {
      spec.clusterIPs = ["None"];
      return;
    }
    const wanted = spec.clusterIPs ?? [];
    spec.clusterIPs = families.map((family, i) =>
      wanted[i] === undefined
        ? this.#takeAddress(service, family)
        : this.#claimAddress(service, wanted[i], i),
    );
    spec.clusterIP = spec.clusterIPs[0];
  }

  /** ipFamilyPolicy and ipFamilies, defaulted from the addresses given and from what this cluster has. */
  #families(service: Service): string[] {
    const spec = service.spec;
    const available = this.#ranges.map((range) => `IPv${range.cidr.family}`);
    const given = (spec.clusterIPs ?? []).filter((t) => t !== "None").map((text) => `IPv${ip(text).family}`);
    const asked = [...(spec.ipFamilies ?? given)];
    const headless = spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length === 0;
    spec.ipFamilyPolicy ??= headless && asked.length === 0 ? "RequireDualStack" : "SingleStack";
    for (const [i, family] of asked.entries()) {
      if (!available.includes(family) && !headless) {
        const message = `Invalid value: "${family}": not configured on this cluster`;
        throw new AllocationError(["spec", "ipFamilies", i], message, "SERVICE_FAMILY");
      }
    }
    if (asked.length === 0) asked.push(available[0] ?? "IPv4");
    if (spec.ipFamilyPolicy === "SingleStack") return asked.slice(0, 1);
    if (spec.ipFamilyPolicy === "RequireDualStack" && available.length < 2 && !headless) {
      const message =
        'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services';
      throw new AllocationError(["spec", "ipFamilyPolicy"], message, "SERVICE_FAMILY");
    }
    const both = headless ? ["IPv4", "IPv6"] : available;
    return [...asked, ...both.filter((family) => !asked.includes(family))];
  }

  #claimAddress(service: Service, text: string, i: number): string {
    const fail = (why: string): never => {
      const message = `Invalid value: ${JSON.stringify(service.spec.clusterIPs)}: failed to allocate IP ${text}: ${why}`;
      throw new AllocationError(["spec", "clusterIPs", i], message, "SERVICE_CLUSTER_IP");
    };
    const address = ip(text);
    const range = this.#ranges.find((r) => offsetIn(r.cidr, address) >= 0);
    if (range === undefined) {
      const same = this.#ranges.filter((r) => r.cidr.family === address.family);
      const list = (same.length > 0 ? same : this.#ranges).map((r) => formatCidr(r.cidr)).join(",");
      return fail(`the provided IP (${text}) is not in the valid range. The range of valid IPs is ${list}`);
    }
    const offset = offsetIn(range.cidr, address);
    const key = keyOf(service);
    if (!range.pool.has(offset)) {
      return fail(
        `the provided IP (${text}) is not in the valid range. The range of valid IPs is ${formatCidr(range.cidr)}`,
      );
    }
    if (offset === 1 && key === RESERVED) return formatIp(address);
    if (!range.pool.claim(offset, key)) return fail("provided IP is already allocated");
    this.#hold(key, range.pool, offset);
    return formatIp(address);
  }

  #takeAddress(service: Service, family: string): string {
    const range = this.#ranges.find((r) => `IPv${r.cidr.family}` === family);
    const key = keyOf(service);
    const from = range === undefined ? 0 : startIn(key, range.dynamicFrom, range.pool.last);
    const offset = range?.pool.take(key, from) ?? -1;
    if (range === undefined || offset < 0) {
      const message = `Internal error: failed to allocate a serviceIP: ${family} range is full`;
      throw new AllocationError(["spec", "clusterIPs"], message, "SERVICE_RANGE_FULL");
    }
    this.#hold(key, range.pool, offset);
    return formatIp(nthIp(range.cidr, offset));
  }

  #allocatePorts(service: Service): void {
    const spec = service.spec;
    const key = keyOf(service);
    const external = spec.type === "NodePort" || spec.type === "LoadBalancer";
    const automatic = spec.type === "NodePort" || spec.allocateLoadBalancerNodePorts === true;
    spec.ports = (spec.ports ?? []).map((port, i) => {
      if (!external) return withoutNodePort(port);
      if ((port.nodePort ?? 0) !== 0) {
        this.#claimPort(key, port.nodePort as number, ["spec", "ports", i, "nodePort"]);
        return port;
      }
      return automatic
        ? { ...port, nodePort: this.#takePort(key, portKey(port), ["spec", "ports", i, "nodePort"]) }
        : port;
    });
    if (spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local") {
      const path: FieldPath = ["spec", "healthCheckNodePort"];
      if ((spec.healthCheckNodePort ?? 0) !== 0) {
        this.#claimPort(key, spec.healthCheckNodePort as number, path);
      } else spec.healthCheckNodePort = this.#takePort(key, "health", path);
    } else delete spec.healthCheckNodePort;
  }

  /** One number may serve several protocols of the same Service, and nobody else. */
  #claimPort(key: string, n: number, path: FieldPath): void {
    const refuse = (why: string): never => {
      throw new AllocationError(path, `Invalid value: ${n}: ${why}`, "SERVICE_NODE_PORT");
    };
    if (!this.#ports.has(n)) {
      refuse(
        `provided port is not in the valid range. The range of valid ports is ${NODE_PORT_FIRST}-${NODE_PORT_LAST}`,
      );
    }
    if (!this.#ports.claim(n, key)) refuse("provided port is already allocated");
    this.#hold(key, this.#ports, n);
  }

  #takePort(key: string, port: string, path: FieldPath): number {
    const saved = this.#savedPorts.get(`${key} ${port}`) ?? -1;
    const again = this.#ports.has(saved) && this.#ports.ownerOf(saved) === undefined;
    if (again) this.#ports.claim(saved, key);
    const n = again
      ? saved
      : this.#ports.take(key, startIn(`${key} ${port}`, this.#portsFrom, NODE_PORT_LAST));
    if (n < 0)
      throw new AllocationError(
        path,
        "Internal error: failed to allocate a nodePort: range is full",
        "SERVICE_NODE_PORT",
      );
    this.#hold(key, this.#ports, n);
    return n;
  }

  #hold(key: string, pool: NumberPool, n: number): void {
    const list = this.#held.get(key);
    if (list === undefined) this.#held.set(key, [{ pool, n }]);
    else list.push({ pool, n });
  }
}

/** What an update leaves out and the stored object has: the API server's patchAllocatedValues. */
function keepAllocated(made: Service, old: Service): void {
  const spec = made.spec;
  const before = old.spec;
  if (spec.type === "ExternalName" || before.type === "ExternalName") return;
  if ((spec.clusterIP ?? "") === "" && before.clusterIP !== undefined && before.clusterIP !== "None") {
    spec.clusterIP = before.clusterIP;
    spec.clusterIPs = [...(before.clusterIPs ?? [])];
    spec.ipFamilies ??= before.ipFamilies as string[];
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy as string;
    if (spec.ipFamilyPolicy === "SingleStack") spec.clusterIPs = spec.clusterIPs.slice(0, 1);
    if (spec.ipFamilyPolicy === "SingleStack") spec.ipFamilies = spec.ipFamilies.slice(0, 1);
  }
  if (spec.type !== "NodePort" && spec.type !== "LoadBalancer") return;
  const ports = new Map((before.ports ?? []).map((port) => [portKey(port), port.nodePort ?? 0]));
  const given = new Set((spec.ports ?? []).map((port) => port.nodePort ?? 0));
  spec.ports = (spec.ports ?? []).map((port) => {
    const kept = ports.get(portKey(port)) ?? 0;
    return (port.nodePort ?? 0) === 0 && kept !== 0 && !given.has(kept) ? { ...port, nodePort: kept } : port;
  });
  const health = before.healthCheckNodePort ?? 0;
  if (health !== 0 && (spec.healthCheckNodePort ?? 0) === 0 && spec.externalTrafficPolicy === "Local") {
    if (spec.type === "LoadBalancer") spec.healthCheckNodePort = health;
  }
}

/** What a stored Service would like to have again after a restart. */
export function savedService(service: Service): SavedService {
  const { clusterIPs = [], ports = [], healthCheckNodePort } = service.spec;
  const nodePorts = ports.flatMap((port): [string, number][] =>
    (port.nodePort ?? 0) === 0 ? [] : [[portKey(port), port.nodePort as number]],
  );
  return {
    clusterIPs,
    nodePorts: Object.fromEntries(nodePorts),
    ...(healthCheckNodePort === undefined ? {} : { healthCheckNodePort }),
  };
}

function withoutNodePort(port: ServicePort): ServicePort {
  const { nodePort, ...rest } = port;
  return rest;
}

function portKey(port: ServicePort): string {
  return `${port.protocol}/${port.port}`;
}

/** Where to start looking: a place in the dynamic part that depends on the name alone. */
function startIn(text: string, from: number, last: number): number {
  return from + (hash32(text) % Math.max(1, last - from + 1));
}

/** Size of the lower part that is left to those who choose (KEP-3070). */
function staticBand(size: number, min: number, divisor: number, max: number): number {
  return size <= min ? 0 : Math.min(max, Math.max(min, Math.floor(size / divisor)));
}
