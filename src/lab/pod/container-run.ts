// One container of a pod, from its first start to its last end: what it is given, its program, its hooks and its probes.
import { existsSync, writeFileSync } from "node:fs";
import type { Container } from "../../kube/objects.ts";
import { type Exit, KUBELET_BACKOFF, ManagedProcess, type ProcessSpec } from "../process/managed-process.ts";
import type { MemoryGroup } from "../process/memory-group.ts";
import {
  allStandInPorts,
  type ContainerHost,
  lastWords,
  prepareContainer,
  writePorts,
} from "./container-setup.ts";
import { containerEnvironment, joinWords } from "./enter/enter.ts";
import {
  type ImageProgram,
  imageProgram,
  insteadOf,
  type Role,
  roleOf,
  takesServicePorts,
} from "./image/image-program.ts";
import { LogIndex } from "./log-index.ts";
import { memoryGroupOf } from "./memory-limit.ts";
import { type ContainerView, isSidecar } from "./pod-status.ts";
import { checkOf, type ProbePlace, runHook } from "./probe-place.ts";
import { type ProbeKind, Prober } from "./prober.ts";
import { ContainerInput, inputOf } from "./stream/container-input.ts";

/** What a shell ends with that did not find the program. */
const NOT_FOUND = 127;
const HOOK_LIMIT_MS = 24 * 3600 * 1000; // a postStart hook may take what it wants

export class ContainerRun {
  readonly container: Container;
  readonly isInit: boolean;
  process: ManagedProcess | undefined;
  log: LogIndex | undefined;
  /** Undefined: its program has none. */
  readonly input: ContainerInput | undefined;
  #begun = false;
  #stopped = false;
  /** What runs now has its postStart hook behind it. */
  #isHooked = false;
  #startedAtMs = 0;
  #start = 0;
  readonly #host: ContainerHost;
  readonly #base: string;
  readonly #role: Role;
  #use: ImageProgram;
  readonly #probers = new Map<ProbeKind, Prober>();
  readonly #memory: MemoryGroup | undefined;

  constructor(host: ContainerHost, container: Container, isInit: boolean) {
    this.#host = host;
    this.container = container;
    this.isInit = isInit;
    this.#base = `${host.folder}/${container.name}`;
    this.#role = roleOf(host.pod(), container, isInit);
    this.#use = imageProgram(container, host.images, this.#role);
    if (existsSync(this.#insteadFile)) this.#use = insteadOf(this.#use, container, this.#role) ?? this.#use;
    this.#makeProbers();
    this.#memory = memoryGroupOf(host, container);
    if (container.stdin === true) this.input = new ContainerInput(inputOf(this.#base, container));
    if (this.#use.use !== "none") this.#makeProcess();
  }

  #makeProcess(): ManagedProcess {
    this.log = new LogIndex(`${this.#base}.log`);
    this.process = new ManagedProcess(this.#spec(this.log), (process) => this.#processChanged(process));
    return this.process;
  }

  get takesServicePorts(): boolean {
    return takesServicePorts(this.#use);
  }

  /** Services that find its pod have come or changed. */
  servicesChanged(): void {
    const ports = allStandInPorts(this.#host, this.container);
    if (this.#stopped || ports.length === 0) return;
    if (this.#use.use === "stand-in") {
      if (this.process?.id !== undefined) writePorts(this.#host, this.container);
      return;
    }
    this.#use = { ...this.#use, use: "stand-in" };
    this.#stopProbers();
    this.#makeProbers();
    const process = this.#makeProcess();
    if (!this.#begun) return;
    this.#host.events.exposed(this.#host.pod(), this.container, ports);
    process.start();
  }

  get begun(): boolean {
    return this.#begun;
  }

  /** An init container that has ended well, or an init container beside the others that is up. */
  get isInitialized(): boolean {
    if (isSidecar(this.container)) return this.isStarted;
    return this.view().phase === "terminated" && this.process?.lastExit?.exitCode === 0;
  }

  /** An init container that has ended for good, and not well. */
  get hasFailed(): boolean {
    return !isSidecar(this.container) && this.view().phase === "terminated" && !this.isInitialized;
  }

  /** Its postStart hook is behind it, or it has ended, or it cannot be started: the next one may begin. */
  get isHooked(): boolean {
    const { process } = this;
    if (process === undefined) return this.#isHooked;
    const isComing = process.isMaking || (process.phase === "running" && !process.announced);
    if (isComing) return !this.#hasHook;
    return this.#isHooked || process.phase !== "running";
  }

  get #hasHook(): boolean {
    return this.container.lifecycle?.postStart !== undefined;
  }

  get isStarted(): boolean {
    const startup = this.#probers.get("startup");
    return this.#isRunning && this.#isHooked && (startup === undefined || startup.succeeds);
  }

  get #isRunning(): boolean {
    if (this.process === undefined) return this.#begun && !this.#stopped;
    return this.process.phase === "running" && this.process.announced;
  }

  begin(): void {
    this.#begun = true;
    if (this.process !== undefined) {
      this.process.start(this.#endedBefore());
      return;
    }
    this.#startedAtMs = Date.now();
    const before = this.#statusBefore();
    if (before?.started !== true) this.#host.events.kept(this.#host.pod(), this.container);
    const prepared = prepareContainer(this.#host, this.container, this.#use);
    if ("message" in prepared)
      this.#host.events.misconfigured(this.#host.pod(), this.container, prepared.message);
    this.#began(before?.started === true);
  }

  /** Tries at once what waits for its time. */
  retryNow(): void {
    this.process?.retryNow();
  }

  /** Something it is given was changed: what was refused may be right now. */
  objectsChanged(): void {
    if (this.process?.refusal !== undefined) this.process.retryNow();
  }

  restartNow(): void {
    this.process?.restartNow();
  }

  /** preStop hook, SIGTERM, SIGKILL when `untilMs` has come. */
  async stop(untilMs: number): Promise<void> {
    if (this.view().phase === "running") {
      this.#host.events.killing(this.#host.pod(), this.container);
      await this.#preStop(untilMs);
    }
    await this.process?.stop(Math.max(0, untilMs - Date.now()));
    this.#stopProbers();
    this.#stopped = true;
    this.#host.changed();
  }

  close(): void {
    this.input?.close();
    this.log?.close();
    this.#memory?.remove();
  }

  view(): ContainerView {
    const { container, process } = this;
    const readiness = this.#probers.get("readiness");
    const isUp = this.#isRunning;
    const phase = this.#phase();
    const startup = this.#probers.get("startup");
    return {
      container,
      phase,
      reason: this.#reason(phase),
      ...(process?.refusal === undefined ? {} : { message: process.refusal.message }),
      startedAtMs: process?.startedAtMs ?? this.#startedAtMs,
      restarts: process?.restarts ?? 0,
      lastExit: process?.lastExit,
      started: this.isStarted,
      ready: this.isStarted && isUp && (readiness === undefined || readiness.succeeds),
      probeMessage: readiness?.message || startup?.message || "",
    };
  }

  #phase(): ContainerView["phase"] {
    const { process } = this;
    if (!this.#begun) return "waiting";
    if (process === undefined) return this.#stopped ? "terminated" : this.#isHooked ? "running" : "waiting";
    // Until its postStart hook has ended kubelet has not written that it runs.
    const isAwaited = !this.#isHooked && (process.announced || this.#hasHook);
    return process.phase === "running" && isAwaited ? "waiting" : process.phase;
  }

  #reason(phase: ContainerView["phase"]): string {
    const { process } = this;
    const pod = this.#host.pod();
    const creating = (pod.spec.initContainers ?? []).length > 0 ? "PodInitializing" : "ContainerCreating";
    if (!this.#begun) return creating;
    if (process === undefined)
      return phase === "terminated" ? "Completed" : phase === "waiting" ? creating : "";
    if (phase === "waiting" && process.phase === "running") return creating;
    return process.reason === "ContainerCreating" ? creating : process.reason;
  }

  #spec(log: LogIndex): ProcessSpec {
    const policy = (this.#host.pod().spec.restartPolicy ?? "Always") as ProcessSpec["restart"];
    const ofInit = policy === "Never" ? "Never" : "OnFailure";
    return {
      argv: [],
      env: {},
      logFile: `${this.#base}.log`,
      pidFile: `${this.#base}.pid`,
      restart: isSidecar(this.container) && this.isInit ? "Always" : this.isInit ? ofInit : policy,
      backoff: KUBELET_BACKOFF,
      prepare: () => prepareContainer(this.#host, this.container, this.#use, this.#memory),
      endReason: () => (this.#memory?.hasKilled === true ? "OOMKilled" : undefined),
      beforeStart: () => {
        log.begins();
        this.input?.forget();
        this.input?.begun(); // its place is not made before somebody has opened an input that ends
      },
      lastWords: (exitCode) => lastWords(this.#base, this.container, exitCode),
    };
  }

  #processChanged(process: ManagedProcess): void {
    const { container } = this;
    const host = this.#host;
    if (process.adopted && process.phase === "running") this.log?.resume();
    if (!host.stopping()) host.events.processChanged(host.pod(), container, process, this.#use.use);
    if (process.phase === "running") this.input?.begun();
    else this.input?.close();
    if (process.phase !== "running") {
      this.#start++;
      this.#isHooked = false;
      this.#stopProbers();
      if (process.phase === "waiting" && process.lastExit?.exitCode === NOT_FOUND) this.#notFound();
    } else if (process.announced) this.#began(process.adopted);
    host.changed();
  }

  /** What its command starts lies in its image: from the next start on something else runs. */
  #notFound(): void {
    const instead = insteadOf(this.#use, this.container, this.#role);
    if (instead === undefined) return;
    this.#use = instead;
    writeFileSync(this.#insteadFile, ""); // for a lab process that takes the container over
    this.#makeProbers();
    this.#host.events.replaced(this.#host.pod(), this.container, instead.use);
  }

  get #insteadFile(): string {
    return `${this.#base}.instead`;
  }

  /** It runs: its hook first, then its probes. */
  async #began(isAdopted: boolean): Promise<void> {
    const start = ++this.#start;
    const hook = this.container.lifecycle?.postStart;
    if (hook !== undefined && !isAdopted) {
      const pod = this.#host.pod();
      const how = { pod, container: this.container, where: this.#place(), limitMs: HOOK_LIMIT_MS };
      const problem = await runHook(hook, how);
      if (start !== this.#start || this.#host.stopping()) return;
      // A hook calls programs of the image, which a stand-in has not.
      if (problem !== undefined && !this.#use.standsIn) {
        this.#host.events.hookFailed(pod, this.container, "PostStart", problem);
        this.process?.end(this.#graceMs());
        return;
      }
    }
    this.#isHooked = true;
    const startup = this.#probers.get("startup");
    const wasStarted = isAdopted && this.#statusBefore()?.started === true;
    if (startup === undefined || wasStarted) {
      if (startup !== undefined) startup.succeeds = true;
      this.#startProbes(isAdopted);
    } else startup.start();
    this.#host.changed();
  }

  #startProbes(isAdopted: boolean): void {
    const ageMs = Date.now() - (this.process?.startedAtMs ?? this.#startedAtMs);
    this.#probers.get("liveness")?.start(true, ageMs);
    this.#probers.get("readiness")?.start(isAdopted && this.#statusBefore()?.ready === true, ageMs);
  }

  #makeProbers(): void {
    const { startupProbe, livenessProbe, readinessProbe } = this.container;
    const given = { startup: startupProbe, liveness: livenessProbe, readiness: readinessProbe };
    for (const [name, told] of Object.entries(given)) {
      const kind = name as ProbeKind;
      const check = checkOf(this.#host.pod(), this.container, told, this.#place());
      if (told === undefined || check === undefined) continue;
      // The delay is the image's to begin; a stand-in answers as soon as it is started.
      const probe = this.#use.standsIn ? { ...told, initialDelaySeconds: 0 } : told;
      const listener = {
        onChange: () => this.#probeChanged(kind),
        onFailure: (message: string) => {
          if (!this.#host.stopping())
            this.#host.events.unhealthy(this.#host.pod(), this.container, kind, message);
        },
        onGiveUp: () => this.#giveUp(kind),
      };
      this.#probers.set(kind, new Prober(kind, probe, check, listener));
    }
  }

  #probeChanged(kind: ProbeKind): void {
    if (kind === "startup" && this.#probers.get("startup")?.succeeds === true) this.#startProbes(false);
    this.#host.changed();
  }

  /** Its startup or liveness probe has failed too often. */
  async #giveUp(kind: ProbeKind): Promise<void> {
    const start = this.#start;
    const { startupProbe, livenessProbe } = this.container;
    const probe = kind === "startup" ? startupProbe : livenessProbe;
    this.#host.events.probeEnds(this.#host.pod(), this.container, kind);
    const graceMs = (probe?.terminationGracePeriodSeconds ?? this.#graceMs() / 1000) * 1000;
    const untilMs = Date.now() + graceMs;
    await this.#preStop(untilMs);
    if (start === this.#start) this.process?.end(Math.max(0, untilMs - Date.now()));
  }

  #stopProbers(): void {
    for (const prober of this.#probers.values()) prober.stop();
  }

  /** The hook that keeps a program serving while its endpoint is withdrawn everywhere. */
  async #preStop(untilMs: number): Promise<void> {
    const hook = this.container.lifecycle?.preStop;
    const limitMs = Math.max(0, untilMs - Date.now());
    if (hook === undefined || limitMs === 0) return;
    const pod = this.#host.pod();
    const problem = await runHook(hook, { pod, container: this.container, where: this.#place(), limitMs });
    if (problem !== undefined) this.#host.events.hookFailed(pod, this.container, "PreStop", problem);
  }

  #place(): ProbePlace {
    const host = this.#host;
    return {
      helper: host.helper,
      standsIn: this.#use.standsIn,
      hasDataPath: () => host.hasDataPath(),
      enter: () => ({ words: joinWords(this.#base, host.netns), env: containerEnvironment(this.#base) }),
    };
  }

  #graceMs(): number {
    return (this.#host.pod().spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  #statusBefore() {
    const { status } = this.#host.pod();
    const list = this.isInit ? status.initContainerStatuses : status.containerStatuses;
    return list?.find(({ name }) => name === this.container.name);
  }

  /** How an earlier lab process wrote that it ended, if it is not to be started again. */
  #endedBefore(): Exit | undefined {
    const ended = this.#statusBefore()?.state?.terminated;
    const { restart } = this.process?.spec ?? {};
    if (ended === undefined || (restart === "OnFailure" && ended.exitCode !== 0) || restart === "Always")
      return undefined;
    const { exitCode, reason = "", message = "", startedAt = "", finishedAt = "" } = ended;
    const times = { startedAtMs: Date.parse(startedAt) || 0, finishedAtMs: Date.parse(finishedAt) || 0 };
    return { exitCode, reason, message, signal: null, ...times };
  }
}
