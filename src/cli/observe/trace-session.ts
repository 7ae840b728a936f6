// Streams of trace steps from several agents, grouped by packet: a packet's steps leave its agent one after
// the other.

import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import type { TraceRecord } from "../../observe/trace-record.ts";
import { callStream } from "../client.ts";
import { note } from "../context.ts";
import { CliError } from "../errors.ts";
import type { NodeAt } from "../nodes/nodes.ts";

export interface TraceWish {
  /** Base64url of a classic BPF program; "" = everything. */
  program: string;
  /** Packets, on each node. */
  count: number;
}

/** A line that is no step: the agent could not keep up. */
interface LostLine {
  lost: number;
}

const QUIET_MS = 50; //   after which a packet's story is taken to be told
const REORDER_MS = 150; // how much later a packet of one node may arrive than a younger one of another
const GRACE_MS = 1000; // what the other nodes get when the first has traced its packets

export class TraceSession {
  readonly #agents: readonly NodeAt[];
  readonly #wish: TraceWish;
  readonly #tell: (steps: TraceRecord[]) => void;
  readonly #responses: IncomingMessage[] = [];
  readonly #held = new Map<string, TraceRecord[]>(); // by node, until the packet's last stage is there
  #told: { steps: TraceRecord[]; atMs: number }[] = []; // whole, until no older one can come
  readonly #seen = new Set<string>(); // packets, of which some are told of once more when they had waited
  #running = 0;
  #errors: CliError[] = [];
  #finish: () => void = () => {};
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(agents: readonly NodeAt[], wish: TraceWish, tell: (steps: TraceRecord[]) => void) {
    this.#agents = agents;
    this.#wish = wish;
    this.#tell = tell;
  }

  /** Until every agent has traced its packets, shortly after the first has, or until `stop`. */
  async run(listening: () => void): Promise<number> {
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const flushing = setInterval(() => this.#flush(performance.now() - REORDER_MS), REORDER_MS / 3);
    try {
      for (const node of this.#agents) await this.#open(node);
      listening();
      await finished;
    } finally {
      clearInterval(flushing);
      this.#isStopped = true;
      clearTimeout(this.#timer);
      for (const response of this.#responses) response.destroy();
    }
    for (const node of [...this.#held.keys()]) this.#release(node);
    this.#flush(Number.POSITIVE_INFINITY);
    if (this.#errors.length === this.#agents.length) throw this.#errors[0];
    return this.#seen.size;
  }

  stop(): void {
    this.#finish();
  }

  async #open(node: NodeAt): Promise<void> {
    const query = new URLSearchParams({ count: String(this.#wish.count) });
    if (this.#wish.program !== "") query.set("filter", this.#wish.program);
    const who = `the agent of ${node.name}`;
    const response = await callStream(node.socket, who, { path: `/trace?${query}` });
    this.#responses.push(response);
    this.#running++;
    const quiet = setTimeout(() => this.#release(node.name), QUIET_MS);
    const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
    lines.on("line", (line) => {
      quiet.refresh();
      if (line !== "") this.#line(node, JSON.parse(line) as TraceRecord | LostLine);
    });
    response.on("error", () => {}); // "close" follows, and tells
    response.on("close", () => {
      clearTimeout(quiet);
      this.#release(node.name);
      this.#ended(response.complete ? undefined : new CliError(`${who} is gone`));
    });
  }

  #line(node: NodeAt, line: TraceRecord | LostLine): void {
    if ("lost" in line) {
      note(`podwire trace: ${line.lost} records of ${node.name} were lost`);
      return;
    }
    const held = this.#held.get(node.name);
    if (held !== undefined && held[0].packet !== line.packet) this.#release(node.name);
    const step = { ...line, node: node.name };
    const late = this.#told.find(
      ({ steps: [first] }) => first.node === node.name && first.packet === line.packet,
    );
    if (late !== undefined)
      late.steps.push(step); // its story was thought to be told
    else if (held !== undefined && held[0].packet === line.packet) held.push(step);
    else this.#held.set(node.name, [step]);
  }

  #release(node: string): void {
    const steps = this.#held.get(node);
    if (steps === undefined) return;
    this.#held.delete(node);
    this.#seen.add(`${node} ${steps[0].packet}`);
    this.#told.push({ steps, atMs: performance.now() });
  }

  /** Tells, in the order of time, what was whole before `untilMs`. */
  #flush(untilMs: number): void {
    const ripe = this.#told.filter((each) => each.atMs <= untilMs);
    if (ripe.length === 0) return;
    this.#told = this.#told.filter((each) => each.atMs > untilMs);
    ripe.sort((a, b) => a.steps[0].timeUs - b.steps[0].timeUs);
    for (const { steps } of ripe) this.#tell(steps);
  }

  #ended(error: CliError | undefined): void {
    if (this.#isStopped) return;
    if (error !== undefined) {
      this.#errors.push(error);
      if (this.#agents.length > 1) note(`podwire trace: ${error.message}`);
    }
    if (--this.#running === 0) this.#finish();
    else if (error === undefined) this.#timer ??= setTimeout(() => this.#finish(), GRACE_MS);
  }
}
