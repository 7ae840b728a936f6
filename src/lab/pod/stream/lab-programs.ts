// Exec, attach, logs and port-forwarding of the API, done in a lab's pods.
import { type Duplex, Readable, type Writable } from "node:stream";
import { badRequest, StatusError } from "../../../apiserver/status.ts";
import type { LogOptions, PodPrograms, Program, ProgramIo } from "../../../apiserver/stream/pod-programs.ts";
import type { Pod } from "../../../kube/objects.ts";
import { netnsPath } from "../../net/names.ts";
import type { ManagedProcess } from "../../process/managed-process.ts";
import type { LogTimes } from "../log-index.ts";
import { resizeTerminal } from "./container-input.ts";
import { type Entrance, execProgram } from "./exec-program.ts";
import { type LogSource, readLog } from "./log-reader.ts";
import { connectInside } from "./pod-connection.ts";

/** What a running pod is asked for. */
export interface PodHandle {
  /** Name of its network namespace. */
  readonly netns: string;
  /** How a program gets to where the container's runs; undefined: the container is not there. */
  entranceOf(container: string): Entrance | undefined;
  logFile(container: string): string;
  logTimes(container: string): LogTimes;
  /** Undefined: it only keeps the namespace. */
  processOf(container: string): ManagedProcess | undefined;
  /** For one who attaches; undefined: its program has none, or it has ended. */
  inputOf(container: string): Writable | undefined;
  /** The pod is being ended. */
  readonly ending: boolean;
}

/** Somebody waits for what he types. */
const TYPING_MS = 15;

export class LabPrograms implements PodPrograms {
  readonly #find: (pod: Pod) => PodHandle | undefined;

  constructor(find: (pod: Pod) => PodHandle | undefined) {
    this.#find = find;
  }

  async exec(pod: Pod, container: string, command: readonly string[], io: ProgramIo): Promise<Program> {
    const handle = this.#find(pod);
    const entrance =
      handle?.processOf(container)?.isMaking === true ? undefined : handle?.entranceOf(container);
    if (entrance === undefined) throw new Error(`container not found ("${container}")`);
    return execProgram(entrance, command, io);
  }

  /**
   * Its output from now on, and its input where it has one. Of one with stdinOnce the output from its start on: kubelet's
   * would not have said much before the first who attaches.
   */
  async attach(pod: Pod, container: string, io: ProgramIo): Promise<Program> {
    const handle = this.#handleOf(pod, container);
    const hasTerminal = pod.spec.containers.some(({ name, tty }) => name === container && tty === true);
    const source = { ...sourceOf(handle, container, 0), ...(hasTerminal ? { pollMs: TYPING_MS } : {}) };
    const stdin = io.stdin ? handle.inputOf(container) : undefined;
    const gone = new AbortController();
    const wishes = {
      follow: true,
      timestamps: false,
      tailLines: isForOne(pod, container) ? -1 : 0,
      sinceMs: 0,
      limitBytes: Number.POSITIVE_INFINITY,
    };
    const output = Readable.from(readLog(source, wishes, gone.signal), { objectMode: false });
    const ended = new Promise<number>((resolve) => output.once("close", () => resolve(0)));
    output.on("error", () => {});
    if (!io.stdout) output.resume();
    return {
      stdin,
      stdout: io.stdout ? output : undefined,
      stderr: io.stderr ? Readable.from([]) : undefined, // a log does not tell them apart
      resize: (columns, rows) => {
        const pid = hasTerminal ? handle.processOf(container)?.id?.pid : undefined;
        if (pid !== undefined) resizeTerminal(pid, columns, rows);
      },
      ended,
      stop: () => {
        stdin?.destroy();
        gone.abort();
      },
    };
  }

  connect(pod: Pod, port: number): Promise<Duplex> {
    const handle = this.#find(pod);
    if (handle === undefined) return Promise.reject(new Error(`pod ${pod.metadata.name} is not running`));
    return connectInside(netnsPath(handle.netns), port);
  }

  async *log(
    pod: Pod,
    container: string,
    options: LogOptions,
    gone: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const handle = this.#handleOf(pod, container);
    const { previous } = options;
    if (previous && handle.logTimes(container).starts.length < 2)
      throw badRequest(
        `previous terminated container "${container}" in pod "${pod.metadata.name}" not found`,
      );
    yield* readLog(sourceOf(handle, container, previous ? 1 : 0), options, gone);
  }

  /** Throws a StatusError where the container was never started. */
  #handleOf(pod: Pod, container: string): PodHandle {
    const handle = this.#find(pod);
    if (handle?.entranceOf(container) !== undefined) return handle;
    const { status, metadata } = pod;
    const all = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
    const reason = all.find((each) => each.name === container)?.state?.waiting?.reason ?? "ContainerCreating";
    if (status.phase === "Succeeded" || status.phase === "Failed")
      throw new StatusError(500, "InternalError", `pod ${metadata.name} is gone from its node`);
    throw badRequest(`container "${container}" in pod "${metadata.name}" is waiting to start: ${reason}`);
  }
}

/** As kubectl run -i makes them. */
function isForOne({ spec }: Pod, container: string): boolean {
  return spec.containers.some(({ name, stdinOnce }) => name === container && stdinOnce === true);
}

/** The log of the last start, or of one so many before it. */
function sourceOf(handle: PodHandle, container: string, before: number): LogSource {
  const count = handle.logTimes(container).starts.length;
  const start = count - before;
  const isOver = (): boolean => {
    const process = handle.processOf(container);
    const isNewer = handle.logTimes(container).starts.length > start;
    return isNewer || (process === undefined ? handle.ending : process.id === undefined);
  };
  const times = (): LogTimes => handle.logTimes(container);
  return { file: handle.logFile(container), times, start, isOver };
}
