// podwire conntrack events: what becomes of connections while one looks on, as conntrack(8) -E prints it. Of kernel
// nodes conntrack(8) itself tells.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import {
  CONNTRACK_EVENTS,
  type ConntrackEvent,
  type ConntrackEventType,
} from "../../observe/conntrack-entry.ts";
import { createConntrackFilter } from "../../observe/conntrack-filter.ts";
import { formatConntrackEvent, parseConntrackEvent } from "../../observe/conntrack-format.ts";
import { callStream } from "../client.ts";
import { note, print, yamlText } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { inNetns } from "../in-namespace.ts";
import type { NodeAt } from "../nodes/nodes.ts";
import type { OutputChoice } from "./conntrack-options.ts";

export interface EventWish {
  /** Filter parameters, as an agent takes them. */
  parameters: [string, string][];
  types: ConntrackEventType[];
  /** Events after which it ends; undefined: none. */
  count: number | undefined;
  choice: OutputChoice;
}

/** A line that is no event: the reader could not keep up. */
interface LostLine {
  lost: number;
}

const ALSO: Readonly<Record<string, ConntrackEventType>> = { UPDATES: "UPDATE", DESTROYED: "DESTROY" };

/** -e NEW,UPDATES,DESTROY as conntrack(8) has it; ALL and nothing are everything. */
export function eventTypes(text: string | undefined): ConntrackEventType[] {
  if (text === undefined || text.toUpperCase() === "ALL") return [...CONNTRACK_EVENTS];
  return text.split(",").map((word) => {
    const name = word.toUpperCase();
    const type = ALSO[name] ?? CONNTRACK_EVENTS.find((known) => known === name);
    if (type === undefined) throw usageError(`-e ${word}: use one or more of NEW, UPDATES, DESTROY, ALL`);
    return type;
  });
}

export class EventSession {
  readonly #nodes: readonly NodeAt[];
  readonly #wish: EventWish;
  readonly #streams: Readable[] = [];
  readonly #children: ChildProcess[] = [];
  #running = 0;
  #shown = 0;
  #error: CliError | undefined;
  #isStopped = false;
  #finish: () => void = () => {};
  #printed: Promise<void> = Promise.resolve();

  constructor(nodes: readonly NodeAt[], wish: EventWish) {
    this.#nodes = nodes;
    this.#wish = wish;
  }

  /** Until `stop`, `count` events, or until no node tells any more. Answers how many events were shown. */
  async run(listening: () => void): Promise<number> {
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    try {
      for (const node of this.#nodes) {
        if (node.kind === "kernel") this.#openKernel(node);
        else await this.#openAgent(node);
      }
      listening();
      await finished;
    } finally {
      this.#isStopped = true;
      for (const stream of this.#streams) stream.destroy();
      for (const child of this.#children) child.kill();
    }
    await this.#printed;
    if (this.#error !== undefined) throw this.#error;
    return this.#shown;
  }

  stop(): void {
    this.#isStopped = true;
    this.#finish();
  }

  async #openAgent(node: NodeAt): Promise<void> {
    const { parameters, types } = this.#wish;
    const query = new URLSearchParams([...parameters, ["types", types.join(",")]]);
    const who = `the agent of ${node.name}`;
    const response = await callStream(node.socket, who, { path: `/conntrack/events?${query}` });
    this.#listen(response, (line) => {
      const told = JSON.parse(line) as ConntrackEvent | LostLine;
      if ("lost" in told) note(`podwire conntrack: ${told.lost} events of ${node.name} were lost`);
      else this.#show({ ...told, node: node.name });
    });
    response.on("error", () => {}); // "close" follows
    response.on("close", () => this.#ended(new CliError(`${who} is gone`)));
  }

  #openKernel(node: NodeAt): void {
    const matches = createConntrackFilter(this.#wish.parameters);
    const [file, ...args] = inNetns(node.netns, ["conntrack", "-E", "-o", "id,timestamp"]);
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.push(child);
    let complaint = "";
    child.stderr.on("data", (text: Buffer) => {
      complaint += String(text);
    });
    this.#listen(child.stdout, (line) => {
      const event = parseConntrackEvent(line, Date.now());
      if (event === undefined || !this.#wish.types.includes(event.type) || !matches(event)) return;
      this.#show({ ...event, node: node.name });
    });
    child.on("close", () => {
      this.#ended(new CliError(`node ${node.name}: conntrack: ${complaint.trim() || "ended"}`));
    });
  }

  #listen(stream: Readable, onLine: (line: string) => void): void {
    this.#running++;
    this.#streams.push(stream);
    const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
    lines.on("line", (line) => {
      if (line !== "" && !this.#isStopped) onLine(line);
    });
  }

  #show(event: ConntrackEvent): void {
    this.#shown++;
    const { form, format } = this.#wish.choice;
    const line = formatConntrackEvent(event, format);
    this.#printed = this.#printed.then(async () => {
      if (form === "json") await print(JSON.stringify(event));
      else if (form === "yaml") await print(`---\n${await yamlText(event)}`);
      else await print(this.#nodes.length > 1 ? `${line} node=${event.node}` : line);
    });
    this.#printed.catch(() => this.stop()); // nobody reads any more
    if (this.#shown === this.#wish.count) this.stop();
  }

  #ended(error: CliError): void {
    if (this.#isStopped) return;
    note(`podwire conntrack: ${error.message}`);
    this.#error ??= error;
    if (--this.#running === 0) this.#finish();
  }
}
