// What becomes of objects, as the API tells it: no change is missed. A watch that a server ends is gone on with where it
// was; where its history is over, what changed meanwhile is found by a new list.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeObject } from "../../kube/objects.ts";
import type { ApiClient, ObjectList, Stream, WatchEvent } from "./api-client.ts";
import { changesBetween, idOf, type WatchChange } from "./changes-between.ts";
import type { ApiResource } from "./discovery.ts";
import { HandOver } from "./hand-over.ts";
import type { ServerTable } from "./server-table.ts";

/** First a list of what there is, then one change after the other. `close` ends it. */
export interface Watch {
  first: KubeObject[];
  changes: AsyncIterable<WatchChange>;
  close(): void;
}

/** What is followed, and where from: its list, if somebody has it already. */
export interface Followed {
  readonly resource: ApiResource;
  /** Left out: all. */
  readonly namespace?: string | undefined;
  readonly list?: ObjectList;
  /** Takes the cells of objects, where they are asked for as tables. */
  readonly table?: ServerTable | undefined;
}

const AGAIN_MS = 100;

export async function watchKinds(api: ApiClient, followed: readonly Followed[]): Promise<Watch> {
  const kinds = await Promise.all(
    followed.map(async (each) => {
      const { resource, namespace, list } = each;
      return new KindWatch(api, each, list ?? (await api.list({ resource, namespace })));
    }),
  );
  const queue = new HandOver<WatchChange>();
  for (const kind of kinds) {
    kind
      .run((change) => queue.push(change))
      .then(
        () => queue.end(undefined),
        (error: Error) => queue.end(error),
      );
  }
  const close = (): void => {
    for (const kind of kinds) kind.close();
    queue.end(undefined);
  };
  return { first: kinds.flatMap(({ first }) => first), changes: queue, close };
}

class KindWatch {
  readonly first: readonly KubeObject[];
  readonly #api: ApiClient;
  readonly #followed: Followed;
  readonly #known: Map<string, KubeObject>;
  #version: string;
  #stream: Stream<WatchEvent> | undefined;
  #isClosed = false;

  constructor(api: ApiClient, followed: Followed, list: ObjectList) {
    this.#api = api;
    this.#followed = followed;
    this.first = list.items;
    this.#known = new Map(list.items.map((object) => [idOf(object), object]));
    this.#version = list.resourceVersion;
  }

  close(): void {
    this.#isClosed = true;
    this.#stream?.close();
  }

  /** Until it is closed; rejects where the server cannot be asked any more. */
  async run(tell: (change: WatchChange) => void): Promise<void> {
    const { table, ...place } = this.#followed;
    while (!this.#isClosed) {
      try {
        const query = { resourceVersion: this.#version, allowWatchBookmarks: true };
        this.#stream = await this.#api.watch(place, query, table !== undefined);
        if (this.#isClosed) return this.#stream.close();
        await this.#follow(this.#stream, tell);
      } catch (error) {
        if (this.#isClosed) return;
        const { code } = error as { code?: string };
        if (code === "EXPIRED") await this.#listAnew(tell);
        else if (code !== CUT) throw error;
      }
      await sleep(AGAIN_MS);
    }
  }

  async #follow(stream: Stream<WatchEvent>, tell: (change: WatchChange) => void): Promise<void> {
    const { table } = this.#followed;
    for await (const { type, object: event } of stream.items) {
      this.#version = event.metadata.resourceVersion ?? this.#version;
      if (type === "BOOKMARK" || type === "ERROR") continue;
      const object = table === undefined ? event : table.objectOf(event);
      this.#version = object.metadata.resourceVersion ?? this.#version;
      if (type === "DELETED") this.#known.delete(idOf(object));
      else this.#known.set(idOf(object), object);
      tell({ type, object });
    }
  }

  async #listAnew(tell: (change: WatchChange) => void): Promise<void> {
    const { table, ...place } = this.#followed;
    const list = await (table === undefined ? this.#api.list(place) : table.listAnew(this.#api, place));
    const changes = changesBetween([...this.#known.values()], list.items);
    this.#known.clear();
    for (const object of list.items) this.#known.set(idOf(object), object);
    this.#version = list.resourceVersion;
    for (const change of changes) tell(change);
  }
}

/** Of an error: the connection ended in the middle. */
const CUT = "CLI_CALL";
