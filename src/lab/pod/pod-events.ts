// What the lab's kubelet tells of a pod and its containers, in kubelet's words.
import type { Happening } from "../../cluster/event-recorder.ts";
import type { Container, Pod } from "../../kube/objects.ts";
import type { ManagedProcess } from "../process/managed-process.ts";
import type { ImageUse } from "./image/image-program.ts";
import type { ProbeKind } from "./prober.ts";

export type Tell = (happening: Happening) => void;

const PROBE_NAMES: Readonly<Record<ProbeKind, string>> = {
  startup: "Startup",
  liveness: "Liveness",
  readiness: "Readiness",
};

export class PodEvents {
  readonly #tell: Tell;
  readonly #host: string;
  /** Container → the start that was told last. */
  readonly #started = new Map<string, number>();

  constructor(tell: Tell, host: string) {
    this.#tell = tell;
    this.#host = host;
  }

  noSandbox(pod: Pod, why: string): void {
    this.#say(pod, undefined, "FailedCreatePodSandBox", `Failed to create pod sandbox: ${why}`, "Warning");
  }

  /** A volume could not be made. */
  noVolume(pod: Pod, why: string): void {
    this.#say(pod, undefined, "FailedMount", why, "Warning");
  }

  /** Its resolv.conf is not all that it asks for. */
  dnsLimits(pod: Pod, why: string): void {
    this.#say(pod, undefined, "DNSConfigForming", why, "Warning");
  }

  /** A container that only keeps the namespace. */
  kept(pod: Pod, container: Container): void {
    this.#say(pod, container, "Created", `Created container: ${container.name}`);
    this.#say(pod, container, "Started", `Started container ${container.name}`);
  }

  misconfigured(pod: Pod, container: Container, why: string): void {
    this.#say(pod, container, "Failed", `Error: ${why}`, "Warning");
  }

  processChanged(pod: Pod, container: Container, process: ManagedProcess, use: ImageUse): void {
    const { name, image } = container;
    if (process.phase === "running") {
      const isTold = process.adopted || this.#started.get(name) === process.startedAtMs;
      this.#started.set(name, process.startedAtMs);
      if (isTold) return;
      if (use !== "command")
        this.#say(pod, container, "Pulled", `Container image "${image}" already present on machine`);
      this.kept(pod, container);
      return;
    }
    if (process.phase !== "waiting") return;
    if (process.refusal !== undefined) {
      this.misconfigured(pod, container, process.refusal.message);
      return;
    }
    if (process.lastExit?.reason === "StartError")
      this.misconfigured(pod, container, process.lastExit.message);
    if (process.backoffMs === 0) return;
    const { name: podName, namespace, uid } = pod.metadata;
    const where = `container ${name} in pod ${podName}_${namespace}(${uid})`;
    this.#say(pod, container, "BackOff", `Back-off restarting failed ${where}`, "Warning");
  }

  /** Nothing on this machine holds it to its memory. */
  unlimited(pod: Pod, container: Container): void {
    const why =
      "resources.limits.memory is not held: this machine has no memory controller (cgroup v2 or v1)";
    this.#say(pod, container, "MemoryLimitIgnored", why, "Warning");
  }

  /** Its command was not found: what runs from now on. */
  replaced(pod: Pod, container: Container, use: ImageUse): void {
    const instead = use === "stand-in" ? "podwire/echo stands in on its ports" : "it is left out";
    const why = "What its command calls is not on this machine (exit status 127)";
    this.#say(pod, container, "StandIn", `${why}: ${instead}`);
  }

  /** Until then nothing ran for it. */
  exposed(pod: Pod, container: Container, ports: readonly string[]): void {
    const message = `A Service expects it to answer: podwire/echo stands in on ${ports.join(", ")}`;
    this.#say(pod, container, "StandIn", message);
  }

  unhealthy(pod: Pod, container: Container, kind: ProbeKind, why: string): void {
    this.#say(pod, container, "Unhealthy", `${PROBE_NAMES[kind]} probe failed: ${why}`, "Warning");
  }

  /** A probe ends its container. */
  probeEnds(pod: Pod, container: Container, kind: ProbeKind): void {
    const message = `Container ${container.name} failed ${kind} probe, will be restarted`;
    this.#say(pod, container, "Killing", message);
  }

  hookFailed(pod: Pod, container: Container, hook: "PostStart" | "PreStop", why: string): void {
    this.#say(pod, container, `Failed${hook}Hook`, `${hook}Hook failed: ${why}`, "Warning");
  }

  killing(pod: Pod, container: Container): void {
    this.#say(pod, container, "Killing", `Stopping container ${container.name}`);
  }

  /** The whole pod ran for as long as it may. */
  deadline(pod: Pod): void {
    const message = "Pod was active on the node longer than the specified deadline";
    this.#say(pod, undefined, "DeadlineExceeded", message);
  }

  #say(
    object: Pod,
    container: Container | undefined,
    reason: string,
    message: string,
    type: "Normal" | "Warning" = "Normal",
  ): void {
    const isInit = object.spec.initContainers?.some(({ name }) => name === container?.name) === true;
    const list = isInit ? "initContainers" : "containers";
    const fieldPath = container === undefined ? {} : { fieldPath: `spec.${list}{${container.name}}` };
    this.#tell({ object, component: "kubelet", host: this.#host, reason, message, type, ...fieldPath });
  }
}
