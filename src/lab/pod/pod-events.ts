// What the lab's kubelet tells of a pod and its containers, in kubelet's words.
import type { Happening } from "../../cluster/event-recorder.ts";
import type { Container, Pod } from "../../kube/objects.ts";
import type { ManagedProcess } from "../process/managed-process.ts";
import { isEcho } from "./pod-env.ts";

export type Tell = (happening: Happening) => void;

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

  /** A container that only keeps the namespace. */
  kept(pod: Pod, container: Container): void {
    this.#say(pod, container, "Created", `Created container: ${container.name}`);
    this.#say(pod, container, "Started", `Started container ${container.name}`);
  }

  processChanged(pod: Pod, container: Container, process: ManagedProcess): void {
    const { name, image } = container;
    if (process.phase === "running") {
      const isTold = process.adopted || this.#started.get(name) === process.startedAtMs;
      this.#started.set(name, process.startedAtMs);
      if (isTold) return;
      if (isEcho(container))
        this.#say(pod, container, "Pulled", `Container image "${image}" already present on machine`);
      this.kept(pod, container);
      return;
    }
    if (process.lastExit?.reason === "StartError" && process.phase === "waiting")
      this.#say(pod, container, "Failed", `Error: ${process.lastExit.message}`, "Warning");
    if (process.phase !== "waiting" || process.backoffMs === 0) return;
    const { name: podName, namespace, uid } = pod.metadata;
    const where = `container ${name} in pod ${podName}_${namespace}(${uid})`;
    this.#say(pod, container, "BackOff", `Back-off restarting failed ${where}`, "Warning");
  }

  unready(pod: Pod, container: Container, why: string): void {
    this.#say(pod, container, "Unhealthy", `Readiness probe failed: ${why}`, "Warning");
  }

  killing(pod: Pod, container: Container): void {
    this.#say(pod, container, "Killing", `Stopping container ${container.name}`);
  }

  #say(
    object: Pod,
    container: Container | undefined,
    reason: string,
    message: string,
    type: "Normal" | "Warning" = "Normal",
  ): void {
    const fieldPath = container === undefined ? {} : { fieldPath: `spec.containers{${container.name}}` };
    this.#tell({ object, component: "kubelet", host: this.#host, reason, message, type, ...fieldPath });
  }
}
