/**
 * Informers of Kubernetes' own client for Node.js on a real lab, while ConfigMaps come, change and go a thousand times a
 * second and every connection of a watch is cut behind some byte: what each informer is told is matched, object by object
 * and in order, with what was written. scripts/api-churn is the command.
 */
import { readFile } from "node:fs/promises";
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from "@kubernetes/client-node";
import { type CutRelay, cutRelay } from "../../testing/cut-relay.ts";
import { TestLab } from "../../testing/lab/lab.ts";
import { Prng } from "../../testing/prng.ts";
import { percentile } from "../gc-log.ts";
import { sleep } from "../shell.ts";
import { ApiClient } from "./api-client.ts";
import { dueMs, type Pace } from "./change-times.ts";
import { DELETED, EventLedger } from "./event-ledger.ts";
import { residentMib } from "./resident.ts";

const PATH = "/api/v1/namespaces/default/configmaps";
const MERGE = "application/merge-patch+json";
/** Each has names of its own, so that it knows the order of its changes. */
const WRITERS = 16;
const NAMES_EACH = 12;
const FOLLOWERS = 3;
const SAMPLES_MAX = 200_000;
const SETTLE_MS = 30_000;
/** A collection of garbage comes with time, not when it is wanted. */
const REST_MS = 20_000;
const REPORT_MS = 60_000;
const AGAIN_MS = 5;

export interface ChurnOptions extends Pace {
  /** A connection is cut after up to so many bytes. */
  readonly cutBytes: number;
  readonly seed: number;
  progress(text: string): void;
}

export interface Churn {
  changes: number;
  seconds: number;
  cuts: number;
  followers: { told: number; lists: number; lost: number; invented: number; wrong: readonly string[] }[];
  /** Lab process, resident MiB: before, at most, and some seconds after. */
  before: number;
  most: number;
  after: number;
  /** ms: from the request to its answer; from the request to the informer's event. */
  write: { p50: number; p99: number };
  event: { p50: number; p99: number };
}

/** Every so many of them is kept, so that an hour's percentiles take no more memory than a minute's. */
class Samples {
  readonly #kept: number[] = [];
  #every = 1;
  #count = 0;

  add(value: number): void {
    if (this.#count++ % this.#every === 0) this.#kept.push(value);
    if (this.#kept.length < SAMPLES_MAX) return;
    this.#every *= 2;
    for (let i = 0; i < this.#kept.length / 2; i++) this.#kept[i] = this.#kept[2 * i];
    this.#kept.length >>= 1;
  }

  get percentiles(): { p50: number; p99: number } {
    return { p50: percentile(this.#kept, 0.5), p99: percentile(this.#kept, 0.99) };
  }
}

/** One informer behind a relay that cuts, and what it is told. */
class Follower {
  readonly ledger = new EventLedger();
  readonly relay: CutRelay;
  lists = 0;
  readonly #informer: ReturnType<typeof makeInformer<V1ConfigMap>>;
  readonly #delays: Samples;
  #isOver = false;

  constructor(kubeconfig: string, relay: CutRelay, delays: Samples) {
    this.relay = relay;
    this.#delays = delays;
    const config = new KubeConfig();
    config.loadFromString(kubeconfig.replace(/(https:\/\/[^":]+:)\d+/, `$1${relay.port}`));
    const api = config.makeApiClient(CoreV1Api);
    this.#informer = makeInformer(config, PATH, async () => {
      this.lists++;
      return api.listNamespacedConfigMap({ namespace: "default" });
    });
    this.#informer.on("add", (object) => this.#told(object));
    this.#informer.on("update", (object) => this.#told(object));
    this.#informer.on("delete", ({ metadata }) => this.ledger.told(metadata?.name ?? "", DELETED));
    this.#informer.on("error", () => this.#again());
  }

  start(): void {
    if (!this.#isOver) this.#informer.start().catch(() => this.#again());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#informer.stop();
    this.relay.close();
  }

  #again(): void {
    setTimeout(() => this.start(), AGAIN_MS);
  }

  #told({ metadata, data }: V1ConfigMap): void {
    if (data?.at === undefined) return; // not one of ours
    this.ledger.told(metadata?.name ?? "", Number(metadata?.resourceVersion));
    this.#delays.add(performance.now() - Number(data.at));
  }
}

export async function measureChurn(options: ChurnOptions): Promise<Churn> {
  const lab = await TestLab.up("api-churn", { nodes: [{ name: "node1" }], clients: [] });
  try {
    return await churn(lab, options);
  } finally {
    await lab.down();
  }
}

async function churn(lab: TestLab, options: ChurnOptions): Promise<Churn> {
  const kubeconfig = await lab.output(["kubeconfig"]);
  const { pid } = JSON.parse(await readFile(`/run/podwire/labs/${lab.name}/lab.pid`, "utf8")) as {
    pid: number;
  };
  const random = new Prng(options.seed);
  const port = Number(new URL(/https:\/\/[^"]+/.exec(kubeconfig)?.[0] ?? "").port);
  const delays = new Samples();
  const followers: Follower[] = [];
  for (let i = 0; i < FOLLOWERS; i++) {
    const relay = await cutRelay(port, () => random.next() / 2 ** 32, options.cutBytes);
    followers.push(new Follower(kubeconfig, relay, delays));
  }
  for (const each of followers) each.start();
  const api = await ApiClient.of(kubeconfig, WRITERS);
  const before = await residentMib(pid);
  const watched = watchMemory(pid, options);
  const began = performance.now();
  const writes = new Samples();
  const changes = await writeAll(api, options, random, writes, followers);
  const seconds = (performance.now() - began) / 1000;
  for (const { relay } of followers) relay.isCutting = false;
  await settled(followers);
  const told = followers.map(({ ledger, lists }) => ({ told: ledger.matched, lists, ...ledger.open }));
  const cuts = followers.reduce((sum, { relay }) => sum + relay.cuts, 0);
  await Promise.all(followers.map((each) => each.stop()));
  api.close();
  await sleep(REST_MS);
  const after = await residentMib(pid);
  const rest = { write: writes.percentiles, event: delays.percentiles };
  return { changes, seconds, cuts, followers: told, before, most: watched(), after, ...rest };
}

/** Until nothing is open, as long as that may take. */
async function settled(followers: readonly Follower[]): Promise<void> {
  const until = performance.now() + SETTLE_MS;
  const isOpen = ({ ledger }: Follower): boolean => ledger.open.lost + ledger.open.invented > 0;
  while (followers.some(isOpen) && performance.now() < until) await sleep(50);
}

function watchMemory(pid: number, { progress }: ChurnOptions): () => number {
  let most = 0;
  const began = performance.now();
  const look = async (): Promise<void> => {
    const now = await residentMib(pid);
    most = Math.max(most, now);
    progress(`${((performance.now() - began) / 60_000).toFixed(1)} min: lab process ${now.toFixed(0)} MiB`);
  };
  const timer = setInterval(() => void look().catch(() => {}), REPORT_MS);
  return () => {
    clearInterval(timer);
    return most;
  };
}

/** Writers in turn, each a change at a time, none before its time. Returns how many changes there were. */
async function writeAll(
  api: ApiClient,
  pace: Pace,
  random: Prng,
  writes: Samples,
  followers: readonly Follower[],
): Promise<number> {
  const began = performance.now();
  const endMs = pace.minutes * 60_000;
  let due = 0;
  let changes = 0;
  const writer = async (own: number): Promise<void> => {
    const there = new Set<string>();
    for (;;) {
      const atMs = dueMs(due++, pace);
      if (atMs >= endMs) return;
      const waitMs = atMs - (performance.now() - began);
      if (waitMs > 1) await sleep(waitMs);
      const name = `m${own}-${random.below(NAMES_EACH)}`;
      const sent = performance.now();
      const version = await change(api, name, there, random.below(10) === 0);
      writes.add(performance.now() - sent);
      for (const { ledger } of followers) ledger.written(name, version);
      changes++;
      if (performance.now() - began > endMs) return;
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, own) => writer(own)));
  return changes;
}

/** The version that came of it, or DELETED. */
async function change(api: ApiClient, name: string, there: Set<string>, isEnd: boolean): Promise<number> {
  const data = { at: String(performance.now()) };
  const versionOf = (text: string): number => Number(JSON.parse(text).metadata.resourceVersion);
  if (!there.has(name)) {
    there.add(name);
    return versionOf(await api.call("POST", PATH, { metadata: { name }, data }));
  }
  if (!isEnd) return versionOf(await api.call("PATCH", `${PATH}/${name}`, { data }, MERGE));
  there.delete(name);
  await api.call("DELETE", `${PATH}/${name}`);
  return DELETED;
}
