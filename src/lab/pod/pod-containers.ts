// The containers of one pod, in kubelet's order: init containers in turn, sidecars among them, then the others; at the
// end the others first, and sidecars in the opposite order of their start.
import type { Writable } from "node:stream";
import type { Container, Pod } from "../../kube/objects.ts";
import type { ManagedProcess } from "../process/managed-process.ts";
import type { ContainerRun } from "./container-run.ts";
import type { LogTimes } from "./log-index.ts";
import { type ContainerView, isSidecar, waitingView } from "./pod-status.ts";

export class PodContainers {
  #inits: ContainerRun[] = [];
  #others: ContainerRun[] = [];
  #sidecarsEnd: Promise<void> | undefined;

  /** Nothing is begun yet. `make` of each, init containers first. */
  make(pod: Pod, make: (container: Container, isInit: boolean) => ContainerRun): void {
    this.#inits = (pod.spec.initContainers ?? []).map((each) => make(each, true));
    this.#others = pod.spec.containers.map((each) => make(each, false));
  }

  get isMade(): boolean {
    return this.#all.length > 0;
  }

  get anyBegun(): boolean {
    return this.#all.some(({ begun }) => begun);
  }

  /** Nothing of the pod goes on but sidecars, which are told to end. */
  get isEnding(): boolean {
    return this.#sidecarsEnd !== undefined;
  }

  /** The one that stands in for an image on the ports which Services expect of the pod. */
  get portTaker(): ContainerRun | undefined {
    return this.#others.find((each) => each.takesServicePorts);
  }

  get #all(): readonly ContainerRun[] {
    return [...this.#inits, ...this.#others];
  }

  /** Tries at once what waits for its time; with `renew` (their namespace was lost) all that was begun starts anew. */
  again(renew: boolean): void {
    for (const each of this.#all.filter(({ begun }) => begun)) renew ? each.restartNow() : each.retryNow();
  }

  objectsChanged(): void {
    for (const each of this.#all) each.objectsChanged();
  }

  /**
   * Begins what may begin: init containers in turn, then the others, each after the hook of the one before. Ends the
   * sidecars when nothing is left for them, within `graceMs`.
   */
  advance(graceMs: number): void {
    if (this.#inits.some((each) => each.hasFailed)) {
      this.#endSidecars(graceMs); // nothing else of the pod will start
      return;
    }
    for (const each of this.#inits) {
      if (this.#others.some(({ begun }) => begun)) break;
      if (!each.begun) each.begin();
      if (!each.isInitialized) return;
    }
    for (const each of this.#others) {
      if (!each.begun) each.begin();
      if (!each.isHooked) return;
    }
    const views = this.#others.map((each) => each.view());
    if (views.every(({ phase }) => phase === "terminated")) this.#endSidecars(graceMs);
  }

  /** Once, when the last of the others has ended for good. */
  #endSidecars(graceMs: number): void {
    this.#sidecarsEnd ??= this.#stopInits(Date.now() + graceMs);
  }

  async #stopInits(untilMs: number): Promise<void> {
    for (const each of [...this.#inits].reverse()) {
      if (each.begun && each.view().phase !== "terminated") await each.stop(untilMs);
    }
  }

  /** The pod's time is over: all of them, init containers that still run last. */
  async endAll(untilMs: number): Promise<void> {
    await Promise.all(this.#others.map((each) => each.stop(untilMs)));
    await this.#stopInits(untilMs);
  }

  /** The pod is deleted. Sidecars last, as long as there is time: the others may need them until they have ended. */
  async stop(untilMs: number): Promise<void> {
    const [sidecars, once] = [true, false].map((is) =>
      this.#inits.filter((each) => isSidecar(each.container) === is),
    );
    const first = [...once, ...this.#others].filter(({ begun }) => begun);
    await Promise.all(first.map((each) => each.stop(untilMs)));
    for (const each of sidecars.reverse()) if (each.begun) await each.stop(untilMs);
  }

  close(): void {
    for (const each of this.#all) each.close();
  }

  /** For the pod's status; of a pod whose containers are not made yet what its spec says, waiting. */
  views({ spec }: Pod): { inits: ContainerView[]; containers: ContainerView[] } {
    if (this.isMade)
      return { inits: this.#inits.map((c) => c.view()), containers: this.#others.map((c) => c.view()) };
    const { initContainers = [], containers } = spec;
    const waiting = initContainers.length > 0 ? "PodInitializing" : "ContainerCreating";
    const view = (container: Container): ContainerView => waitingView(container, waiting);
    return { inits: initContainers.map(view), containers: containers.map(view) };
  }

  #named(name: string): ContainerRun | undefined {
    return this.#all.find(({ container }) => container.name === name);
  }

  hasBegun(name: string): boolean {
    return this.#named(name)?.begun === true;
  }

  /** When its log began anew and when it grew; nothing of a container without a program. */
  logTimes(name: string): LogTimes {
    return this.#named(name)?.log?.times() ?? { starts: [], times: [] };
  }

  /** Undefined: no such container, or one that only keeps the pod's namespace. */
  processOf(name: string): ManagedProcess | undefined {
    return this.#named(name)?.process;
  }

  /** What leads to its program's standard input; undefined: it has none, or one with `stdinOnce` had its input. */
  inputOf(name: string): Writable | undefined {
    return this.#named(name)?.input?.take();
  }

  /** What runs, for `lab status`: not init containers, which are to end. */
  processes(): { container: string; process: ManagedProcess | undefined }[] {
    const shown = [...this.#inits.filter((each) => isSidecar(each.container)), ...this.#others];
    return shown.map((each) => ({ container: each.container.name, process: each.process }));
  }
}
