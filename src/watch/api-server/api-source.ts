/**
 * Objects from a Kubernetes API server. While it is away the node goes on with what it knows; an agent that starts then
 * takes what the last one knew from disk.
 */
import { PodwireError } from "../../base/errors.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ObjectEvent } from "../desired-state.ts";
import { ObjectSet } from "../object-set.ts";
import type { NodeReport, ObjectSource, SourceHealth, SourceListener } from "../source.ts";
import { ApiConnection, type Call } from "./connection.ts";
import { EventWriter } from "./event-writer.ts";
import { bareObject, compactObject, keptObject } from "./kept-object.ts";
import type { Access } from "./kubeconfig.ts";
import { LastState } from "./last-state.ts";
import { NodeWriter } from "./node-writer.ts";
import type { Received } from "./received.ts";
import { Reflector, type Told } from "./reflector.ts";
import { RESOURCES, type Resource } from "./resources.ts";
import { wholeObject } from "./whole-object.ts";

export interface ApiSourceOptions {
  readonly access: Access;
  /** Reads it anew: a server that does not answer, or takes no credentials, may have got others. */
  readonly readAgain?: () => Access;
  readonly nodeName: string;
  /** File that keeps what is known for the next start; "": none. */
  readonly stateFile: string;
  /** So long a starting agent waits for the server before it takes what the last one knew, ms. */
  readonly patienceMs?: number;
  /** What changed within this time is written together, ms. */
  readonly saveMs?: number;
  /** Said at the start. */
  readonly note?: string;
  /** What is followed; left out: what a node has to know. */
  readonly resources?: readonly Resource[];
}

const PATIENCE_MS = 3000;
const SAVE_MS = 10_000;
const REFUSED_MAX = 100; // objects whose problems are told, at a time

interface Followed {
  readonly resource: Resource;
  /** Where the server has it, among the paths that there are. */
  path: string;
  /** Where it has been looked for in vain since it was found last. */
  missed: number;
  readonly reflector: Reflector<KubeObject>;
  readonly set: ObjectSet;
  isWhole: boolean;
  call: Call | undefined;
  timer: NodeJS.Timeout | undefined;
  deadline: NodeJS.Timeout | undefined;
}

export class ApiSource implements ObjectSource {
  readonly #connection: ApiConnection;
  readonly #state: LastState | undefined;
  readonly #followed: readonly Followed[];
  readonly #events: EventWriter;
  readonly #node: NodeWriter;
  readonly #nodeName: string;
  /** Objects that cannot be used, and why. */
  readonly #refused = new Map<string, string>();
  /** Versions of these that were told. */
  readonly #refusedVersions = new Map<string, string>();
  readonly #patienceMs: number;
  readonly #saveMs: number;
  readonly #note: string;
  #listener: SourceListener | undefined;
  #problem = "";
  #isSynced = false;
  #patience: NodeJS.Timeout | undefined;
  /** The timer of the next writing; it stays until that is done. */
  #saving: NodeJS.Timeout | undefined;
  #isUnsaved = false;

  constructor(options: ApiSourceOptions) {
    const { access, nodeName, stateFile, patienceMs = PATIENCE_MS, saveMs = SAVE_MS, note = "" } = options;
    this.#note = note;
    this.#patienceMs = patienceMs;
    this.#saveMs = saveMs;
    const connection = new ApiConnection(access, options.readAgain);
    this.#connection = connection;
    const onRefused = (why: string): void => this.#listener?.note?.(`Events are not written: ${why}`);
    this.#events = new EventWriter({ connection, nodeName, onRefused });
    this.#nodeName = nodeName;
    this.#node = new NodeWriter({
      ...{ connection, nodeName },
      onRefused: (why) =>
        this.#listener?.note?.(`Node ${nodeName} is not told that its network is up: ${why}`),
    });
    this.#state = stateFile === "" ? undefined : new LastState(stateFile);
    this.#followed = (options.resources ?? RESOURCES).map((resource) => this.#follow(resource));
  }

  start(listener: SourceListener): void {
    this.#listener = listener;
    if (this.#note !== "") listener.note?.(this.#note);
    for (const followed of this.#followed) this.#ask(followed);
    this.#patience = setTimeout(() => this.#restore(), this.#patienceMs);
  }

  close(): void {
    this.#listener = undefined;
    clearTimeout(this.#patience);
    clearTimeout(this.#saving);
    for (const { call, timer, deadline } of this.#followed) {
      clearTimeout(timer);
      clearTimeout(deadline);
      call?.close();
    }
    this.#events.close();
    this.#node.close();
    this.#connection.close();
  }

  report(report: NodeReport): void {
    this.#node.want(report);
  }

  reported(mostMs: number): Promise<void> {
    return this.#problem === "" ? this.#node.written(mostMs) : Promise.resolve();
  }

  /** Where the server has objects of a kind: "/apis/apps/v1/deployments". */
  pathOf(kind: string): string {
    return this.#followed.find(({ resource }) => resource.info.kind === kind)?.path ?? "";
  }

  get health(): SourceHealth {
    const times = this.#followed.map(({ reflector }) => reflector.heardMs);
    const isSilent = times.some((ms) => ms < 0);
    return {
      problem: this.#problem === "" ? "" : `API server ${this.#connection.server}: ${this.#problem}`,
      silentSeconds: isSilent ? -1 : (performance.now() - Math.min(...times)) / 1000,
      server: this.#connection.server,
      aheadSeconds: this.#connection.aheadSeconds,
      unreported: this.#node.problem,
      refused: this.#refused,
    };
  }

  #isOwnNode({ info }: Resource, { metadata }: Received): boolean {
    return info.kind === "Node" && metadata?.name === this.#nodeName;
  }

  #follow(resource: Resource): Followed {
    const { info, name, isOptional, labelSelector } = resource;
    const reflector = new Reflector<KubeObject>({
      resource: name,
      ...(isOptional === undefined ? {} : { isOptional }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      keep: (received) => this.#keep(resource, received),
      bare: (received) => bareObject(received, info),
    });
    const set = new ObjectSet();
    return {
      ...{ resource, path: resource.path, missed: 0 },
      reflector,
      set,
      isWhole: false,
      call: undefined,
      timer: undefined,
      deadline: undefined,
    };
  }

  #keep(resource: Resource, received: Received): KubeObject | undefined {
    if (this.#isOwnNode(resource, received)) this.#node.seen(received);
    const { info, isWhole, hasStatus } = resource;
    const kept =
      isWhole === true ? wholeObject(received, info, hasStatus) : keptObject(received, info, this.#nodeName);
    if (typeof kept === "string") {
      this.#refuse(resource, received, kept);
      return undefined;
    }
    this.#forget(titleOf(resource, received));
    return kept;
  }

  #refuse(resource: Resource, received: Received, why: string): void {
    const title = titleOf(resource, received);
    const { name = "", namespace, uid, resourceVersion = "" } = received.metadata ?? {};
    const before = this.#refused.get(title);
    if (before === undefined && this.#refused.size >= REFUSED_MAX) return;
    if (before === why && this.#refusedVersions.get(title) === resourceVersion) return; // of another list
    this.#refused.set(title, why);
    this.#refusedVersions.set(title, resourceVersion);
    if (before !== why) this.#listener?.note?.(`${title} cannot be used: ${why}: it counts as not there`);
    const { apiVersion, kind } = resource.info;
    const more = {
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    };
    this.#events.record({
      object: { apiVersion, kind, name, ...more, resourceVersion },
      type: "Warning",
      reason: "Unusable",
      message: `counts as not there: ${why}`,
    });
  }

  #forget(title: string): void {
    if (this.#refused.size === 0) return;
    this.#refused.delete(title);
    this.#refusedVersions.delete(title);
  }

  /** Of what is gone nothing is said any more. */
  #forgetGone({ resource }: Followed, told: Told<KubeObject>): void {
    if (this.#refused.size === 0) return;
    if (told.type === "DELETED") this.#forget(titleOf(resource, told.object));
    if (told.type !== "ALL") return;
    const left = new Set(told.unusable.map((object) => titleOf(resource, object)));
    for (const title of this.#refused.keys())
      if (title.startsWith(`${resource.info.kind} `) && !left.has(title)) this.#forget(title);
  }

  /** The next request, now or when it is due. */
  #ask(followed: Followed): void {
    const { reflector } = followed;
    if (this.#listener === undefined) return;
    const nowMs = performance.now();
    const ask = reflector.ask(nowMs);
    if (ask === undefined) {
      followed.timer = setTimeout(() => this.#ask(followed), Math.max(0, reflector.dueMs - nowMs));
      return;
    }
    const call = this.#connection.get(followed.path, ask.query, {
      status: (code, retryAfter) => {
        if (code === 404 && this.#isElsewhere(followed)) {
          call.close();
          clearTimeout(followed.deadline);
          reflector.onMoved(performance.now());
          this.#ask(followed);
          return;
        }
        if (code !== 404) followed.missed = 0;
        reflector.onStatus(code, retryAfter, performance.now());
        this.#tell(followed); // a watch that begins says that all is well, whenever its first event comes
      },
      data: (chunk) => {
        reflector.onData(chunk, performance.now());
        this.#tell(followed);
        if (!reflector.isOver) return;
        call.close();
        this.#ended(followed, undefined);
      },
      end: (error, isNear) => this.#ended(followed, error, isNear),
    });
    followed.call = call;
    this.#watchSilence(followed);
  }

  /** Turns to the next of its paths, if there is one that has not been asked. */
  #isElsewhere(followed: Followed): boolean {
    const { path, otherPaths = [] } = followed.resource;
    const all = [path, ...otherPaths];
    followed.path = all[(all.indexOf(followed.path) + 1) % all.length];
    followed.missed = (followed.missed + 1) % all.length;
    return followed.missed > 0;
  }

  #ended(followed: Followed, error: string | undefined, isNear = false): void {
    const { reflector } = followed;
    followed.call = undefined;
    clearTimeout(followed.deadline);
    reflector.onEnd(error, performance.now(), isNear);
    this.#goOn(followed);
  }

  #goOn(followed: Followed): void {
    if (followed.reflector.needsCredentials) this.#connection.refused();
    this.#tell(followed);
    this.#ask(followed);
  }

  #watchSilence(followed: Followed): void {
    const { reflector } = followed;
    const inMs = Math.max(0, reflector.deadlineMs - performance.now());
    followed.deadline = setTimeout(() => {
      if (performance.now() < reflector.deadlineMs) {
        this.#watchSilence(followed);
        return;
      }
      followed.call?.close();
      followed.call = undefined;
      reflector.onSilence(performance.now());
      this.#goOn(followed);
    }, inMs);
  }

  #tell(followed: Followed): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    const events: ObjectEvent[] = [];
    for (const told of followed.reflector.take()) {
      if (told.type === "ALL") followed.isWhole = true;
      if (told.type === "DELETED" && this.#isOwnNode(followed.resource, told.object)) this.#node.gone();
      this.#forgetGone(followed, told);
      events.push(...eventsOf(followed, told));
    }
    const isSynced = this.#isSynced || this.#followed.every(({ isWhole }) => isWhole);
    const becomesSynced = isSynced && !this.#isSynced;
    this.#isSynced = isSynced;
    if (becomesSynced) clearTimeout(this.#patience);
    if (events.length > 0 || becomesSynced) {
      listener.events(events, becomesSynced);
      if (isSynced) this.#saveSoon();
    }
    this.#tellProblem(listener);
  }

  /** Once for each time that something goes wrong. */
  #tellProblem(listener: SourceListener): void {
    const broken = this.#followed.find(({ reflector }) => reflector.problem !== "");
    const problem = broken === undefined ? "" : `${broken.resource.name}: ${broken.reflector.problem}`;
    if (problem !== "" && this.#problem === "") {
      const message = `API server ${this.#connection.server}: ${problem}`;
      listener.problem(new PodwireError(message, { code: "SOURCE_LOST" }));
    }
    if (problem === "" && this.#problem !== "") listener.events([], this.#isSynced);
    this.#problem = problem;
  }

  /** The server does not answer a starting agent: what the last one knew is better than nothing. */
  #restore(): void {
    const listener = this.#listener;
    if (this.#state === undefined || listener === undefined || this.#isSynced) return;
    const last = this.#state.read();
    if (typeof last === "string") {
      if (last !== "") listener.note?.(last);
      return;
    }
    const events: ObjectEvent[] = [];
    for (const followed of this.#followed) {
      if (followed.isWhole) continue;
      const { kind } = followed.resource.info;
      const objects = last.objects
        .filter((object) => object.kind === kind)
        .map((each) => compactObject(each, this.#nodeName));
      events.push(...eventsOf(followed, { type: "ALL", objects, unusable: [] }));
    }
    listener.note?.(
      `the API server does not answer: ${events.length} objects of ${last.savedAt} are taken from disk`,
    );
    listener.events(events, true);
  }

  #saveSoon(): void {
    this.#isUnsaved = true;
    if (this.#state === undefined || this.#saving !== undefined) return;
    this.#saving = setTimeout(() => void this.#save(this.#state as LastState), this.#saveMs);
    this.#saving.unref();
  }

  /** Objects are never changed: what is written is what was known when this began. */
  async #save(state: LastState): Promise<void> {
    this.#isUnsaved = false;
    const problem = await state.write(this.#followed.flatMap(({ set }) => [...set.objects()]));
    this.#saving = undefined;
    if (problem !== "") this.#listener?.note?.(problem);
    if (this.#isUnsaved && this.#listener !== undefined) this.#saveSoon();
  }
}

function titleOf({ info }: Resource, { metadata: { namespace, name = "" } = {} }: Received): string {
  return `${info.kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

function eventsOf({ set }: Followed, told: Told<KubeObject>): ObjectEvent[] {
  if (told.type === "ALL") {
    const anew = told.objects.flatMap((object) => gone(set, object));
    return [...anew, ...set.replace(told.objects)];
  }
  const { object } = told;
  const type = told.type === "UNUSABLE" ? "DELETED" : told.type;
  const before = type === "DELETED" ? [] : gone(set, object);
  const event = set.apply({ type, object });
  return event === undefined ? before : [...before, event];
}

/** Another object had this name, as its uid tells: it goes first. */
function gone(set: ObjectSet, object: KubeObject): ObjectEvent[] {
  const before = set.get(object);
  if (before === undefined || before.metadata.uid === object.metadata.uid) return [];
  const event = set.apply({ type: "DELETED", object });
  return event === undefined ? [] : [event];
}
