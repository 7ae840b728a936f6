// The checks of level baseline, and of restricted where it says the same: what gives a pod more than its share of a node.
// Profiles of AppArmor, SELinux and seccomp are in profiles.ts.
import {
  type Check,
  containersOf,
  type Finding,
  named,
  type PodShape,
  plural,
  quoted,
  settersText,
  sortedSet,
} from "./finding.ts";

const DEFAULT_CAPABILITIES = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);

export function defaultCapabilities(pod: PodShape): Finding | undefined {
  const added = containersOf(pod).map(({ name, securityContext }) => ({
    name,
    more: (securityContext?.capabilities?.add ?? []).filter((each) => !DEFAULT_CAPABILITIES.has(each)),
  }));
  const bad = added.filter(({ more }) => more.length > 0);
  if (bad.length === 0) return undefined;
  const who = named(
    "container",
    bad.map(({ name }) => name),
  );
  const what = quoted(sortedSet(bad.flatMap(({ more }) => more)));
  return {
    reason: "non-default capabilities",
    detail: `${who} must not include ${what} in securityContext.capabilities.add`,
  };
}

export function noHostNamespaces({ spec }: PodShape): Finding | undefined {
  const shared = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((field) => spec[field] === true);
  if (shared.length === 0) return undefined;
  return { reason: "host namespaces", detail: shared.map((field) => `${field}=true`).join(", ") };
}

export function noHostPaths({ spec }: PodShape): Finding | undefined {
  const bad = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name);
  return bad.length === 0 ? undefined : { reason: "hostPath volumes", detail: named("volume", bad) };
}

export function noHostPorts(pod: PodShape): Finding | undefined {
  const used = containersOf(pod).map(({ name, ports = [] }) => ({
    name,
    host: ports.map(({ hostPort = 0 }) => hostPort).filter((port) => port !== 0),
  }));
  const bad = used.filter(({ host }) => host.length > 0);
  if (bad.length === 0) return undefined;
  const ports = sortedSet(bad.flatMap(({ host }) => host.map(String)));
  const who = named(
    "container",
    bad.map(({ name }) => name),
  );
  const uses = bad.length === 1 ? "uses" : "use";
  return {
    reason: "hostPort",
    detail: `${who} ${uses} ${plural("hostPort", ports.length)} ${ports.join(", ")}`,
  };
}

interface WithHosts {
  readonly httpGet?: { readonly host?: string };
  readonly tcpSocket?: { readonly host?: string };
}

/** A probe of another host lets a node's kubelet speak to whom the pod chooses. */
export function noHostInProbes(pod: PodShape): Finding | undefined {
  const asked = containersOf(pod).map(({ name, livenessProbe, readinessProbe, startupProbe, lifecycle }) => {
    const handlers: (WithHosts | undefined)[] = [
      livenessProbe,
      readinessProbe,
      startupProbe,
      lifecycle?.postStart,
      lifecycle?.preStop,
    ];
    const hosts = handlers.flatMap((each) => [each?.httpGet?.host ?? "", each?.tcpSocket?.host ?? ""]);
    return { name, hosts: hosts.filter((host) => host !== "") };
  });
  const bad = asked.filter(({ hosts }) => hosts.length > 0);
  if (bad.length === 0) return undefined;
  const names = sortedSet(bad.map(({ name }) => name));
  const hosts = sortedSet(bad.flatMap((each) => each.hosts));
  const uses = names.length === 1 ? "uses" : "use";
  const what = named("probe or lifecycle host", hosts);
  return { reason: "probe or lifecycle host", detail: `${named("container", names)} ${uses} ${what}` };
}

export function notPrivileged(pod: PodShape): Finding | undefined {
  const bad = containersOf(pod).filter(({ securityContext }) => securityContext?.privileged === true);
  if (bad.length === 0) return undefined;
  const who = named(
    "container",
    bad.map(({ name }) => name),
  );
  return { reason: "privileged", detail: `${who} must not set securityContext.privileged=true` };
}

export function defaultProcMount(pod: PodShape): Finding | undefined {
  const mounts = containersOf(pod).flatMap(({ name, securityContext }) => {
    const mount = securityContext?.procMount;
    return mount === undefined || mount === "Default" ? [] : [{ name, mount }];
  });
  if (mounts.length === 0) return undefined;
  const who = named(
    "container",
    mounts.map(({ name }) => name),
  );
  const what = quoted(sortedSet(mounts.map(({ mount }) => mount)));
  return { reason: "procMount", detail: `${who} must not set securityContext.procMount to ${what}` };
}

/** In a user namespace root is nobody in particular. */
export function unlessInUserNamespace(check: Check): Check {
  return (pod) => (pod.spec.hostUsers === false ? undefined : check(pod));
}

/** Of Windows, which has nothing of the kind. */
export function unlessWindows(check: Check): Check {
  return (pod) => (pod.spec.os?.name === "windows" ? undefined : check(pod));
}

/** Sysctls that are the pod's own, and harmless to others; each with the version that says so. */
const SAFE_SYSCTLS: Readonly<Record<string, number>> = {
  "kernel.shm_rmid_forced": 0,
  "net.ipv4.ip_local_port_range": 0,
  "net.ipv4.tcp_syncookies": 0,
  "net.ipv4.ping_group_range": 0,
  "net.ipv4.ip_unprivileged_port_start": 0,
  "net.ipv4.ip_local_reserved_ports": 27,
  "net.ipv4.tcp_keepalive_time": 29,
  "net.ipv4.tcp_fin_timeout": 29,
  "net.ipv4.tcp_keepalive_intvl": 29,
  "net.ipv4.tcp_keepalive_probes": 29,
  "net.ipv4.tcp_rmem": 32,
  "net.ipv4.tcp_wmem": 32,
  "net.ipv4.tcp_slow_start_after_idle": 37,
  "net.ipv4.tcp_notsent_lowat": 37,
};

export function safeSysctls(minor: number): Check {
  const safe = new Set(Object.keys(SAFE_SYSCTLS).filter((name) => SAFE_SYSCTLS[name] <= minor));
  return ({ spec }) => {
    const bad = (spec.securityContext?.sysctls ?? [])
      .map(({ name }) => name)
      .filter((name) => !safe.has(name));
    return bad.length === 0 ? undefined : { reason: "forbidden sysctls", detail: bad.join(", ") };
  };
}

export function noHostProcess(pod: PodShape): Finding | undefined {
  const isPod = pod.spec.securityContext?.windowsOptions?.hostProcess === true;
  const bad = containersOf(pod).filter((each) => each.securityContext?.windowsOptions?.hostProcess === true);
  const who = settersText(
    isPod,
    bad.map(({ name }) => name),
  );
  if (who === "") return undefined;
  return {
    reason: "hostProcess",
    detail: `${who} must not set securityContext.windowsOptions.hostProcess=true`,
  };
}
