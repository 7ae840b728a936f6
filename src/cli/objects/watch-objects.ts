// What becomes of objects, as the lab tells it: no change is missed, and nothing is asked again and again.
import { createInterface } from "node:readline";
import type { KubeObject } from "../../kube/objects.ts";
import { labPaths } from "../../lab/state-dir.ts";
import { callStream } from "../client.ts";
import { CliError } from "../errors.ts";
import type { RunningLab } from "../running-lab.ts";

export type WatchType = "ADDED" | "MODIFIED" | "DELETED";

export interface WatchChange {
  type: WatchType;
  object: KubeObject;
}

/** First a list of what there is, then one change after the other. `close` ends it. */
export interface Watch {
  first: KubeObject[];
  changes: AsyncIterable<WatchChange>;
  close(): void;
}

export async function watchKinds(lab: RunningLab, kinds: readonly string[]): Promise<Watch> {
  const path = `/watch?kinds=${encodeURIComponent(kinds.join(","))}`;
  const stream = await callStream(labPaths(lab.name).socket, `lab ${lab.name}`, { path });
  const reader = createInterface({ input: stream });
  const lines = reader[Symbol.asyncIterator]();
  stream.on("error", () => {}); // its lines end, which is told below
  stream.on("close", () => reader.close());
  const first: KubeObject[] = [];
  let isClosed = false;
  const next = async (): Promise<{ type: string; object: KubeObject } | undefined> => {
    const line = await lines.next().catch(() => ({ done: true, value: "" }) as const);
    return line.done === true ? undefined : JSON.parse(line.value);
  };
  for (let each = await next(); each !== undefined && each.type !== "BOOKMARK"; each = await next())
    first.push(each.object);
  async function* changes(): AsyncIterable<WatchChange> {
    for (let each = await next(); each !== undefined; each = await next()) yield each as WatchChange;
    if (!isClosed) throw new CliError(`lab ${lab.name}: it has ended`);
  }
  const close = (): void => {
    isClosed = true;
    stream.destroy();
  };
  return { first, changes: changes(), close };
}
