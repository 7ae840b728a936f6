// Plays conversations to one side, the kernel or podwire: sends each step to where the other end is known by then, notes
// what came out where, and in the end which connections there are.
import type { Conversation } from "./conversations.ts";
import type { Seen } from "./outcome.ts";
import { type End, endsOfFrame, isOwn, type Place, placeOf, talkFrame, wayText } from "./talk-places.ts";
import type { Step } from "./tcp-talk.ts";
import type { World } from "./world.ts";

export const STREAM_PAUSE_MS = 2300; // a UDP flow is a stream after two seconds

/** A connection as a side lists it. */
export interface Entry {
  readonly protocol: string;
  readonly state: string;
  /** Name of the time-out that it has, or the seconds when it has none. */
  readonly timeout: string;
  readonly orig: { readonly from: End; readonly to: End };
  readonly reply: { readonly from: End; readonly to: End };
  readonly flags: string;
  readonly packets: string;
}

export interface TalkSide {
  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen;
  pause(ms: number): Promise<void> | void;
  entries(): readonly Entry[];
  /** Forgets all connections. */
  forget(): void;
  /** Packets that this side dropped, as a documented choice, where the other one lets them into the node itself. */
  choices(): number;
}

/** What became of one conversation. */
export interface Told {
  readonly steps: string[];
  entries: string[];
  /** Steps that ended by a documented choice. */
  readonly chosen: Set<number>;
}

class Player {
  readonly told: Told = { steps: [], entries: [], chosen: new Set() };
  readonly place: Place;
  readonly #conversation: Conversation;
  readonly #world: World;
  #client: End;
  #server: End;

  constructor(conversation: Conversation, index: number, world: World) {
    this.#conversation = conversation;
    this.#world = world;
    this.place = placeOf(conversation, index, world);
    this.#client = this.place.client;
    this.#server = this.place.server;
  }

  play(side: TalkSide, step: Step, id: number): void {
    const { place } = this;
    const isClient = step.from === "client";
    const where = isClient ? place.clientAt : place.serverAt;
    const [from, to] = isClient ? [place.client, place.target] : [this.#server, this.#client];
    const before = side.choices();
    const frame = talkFrame(this.#conversation.protocol, step, from, to, id);
    const seen = side.inject([{ where, frame }]);
    if (side.choices() > before) this.told.chosen.add(this.told.steps.length);
    const out = seen.frames.get(id & (this.#world.family === 4 ? 0xffff : 0xfffff));
    const ends = out === undefined ? undefined : endsOfFrame(out.frame);
    if (out === undefined || ends === undefined) {
      this.told.steps.push("nothing");
      return;
    }
    if (isClient && out.where === place.serverAt) [this.#client, this.#server] = [ends.from, ends.to];
    this.told.steps.push(`${out.where}: ${wayText(ends, place, this.#conversation.protocol, this.#world)}`);
  }
}

/** All of a batch, each one's early part at a time, then the pause, then the rest. */
export async function tell(side: TalkSide, batch: readonly Conversation[], world: World): Promise<Told[]> {
  side.forget();
  let id = 0;
  const players = batch.map((conversation, i) => new Player(conversation, i, world));
  for (const [i, { early }] of batch.entries()) for (const step of early) players[i].play(side, step, ++id);
  if (batch.some(({ late }) => late.length > 0)) await side.pause(STREAM_PAUSE_MS);
  for (const [i, { late }] of batch.entries()) for (const step of late) players[i].play(side, step, ++id);
  const byClient = new Map(players.map((player) => [keyOf(player.place.client), player]));
  for (const entry of side.entries()) {
    const player = byClient.get(keyOf(entry.orig.from)) ?? byClient.get(keyOf(entry.orig.to));
    player?.told.entries.push(entryText(entry, player.place, world));
  }
  for (const { told } of players) told.entries.sort();
  return players.map(({ told }) => told);
}

function keyOf({ address, port }: End): string {
  return `${address} ${port}`;
}

function entryText(entry: Entry, place: Place, world: World): string {
  const { protocol, state, timeout, orig, reply, flags, packets } = entry;
  const way = (ends: Entry["orig"]): string => wayText(ends, place, protocol, world);
  return `${protocol} ${state} ${timeout} ${way(orig)}, ${way(reply)} ${flags} ${packets}`;
}

/** Lines of what differs between two sides, none when nothing does. Of `podwire` the documented choices are known. */
export function differences(kernel: Told, podwire: Told, world: World): string[] {
  const lines: string[] = [];
  for (const [i, text] of kernel.steps.entries()) {
    // An INVALID packet of a translated connection: Linux hands it to the node's own stack, podwire does not.
    const chosen = podwire.chosen.has(i) && text.startsWith("host: ") && isOwnTarget(text, world);
    if (text !== podwire.steps[i] && !chosen) {
      lines.push(`step ${i + 1}: kernel ${text}, podwire ${podwire.steps[i]}`);
    }
  }
  const [left, right] = [kernel.entries.join(" | "), podwire.entries.join(" | ")];
  if (left !== right) lines.push(`connections: kernel ${left || "none"}, podwire ${right || "none"}`);
  return lines;
}

function isOwnTarget(text: string, world: World): boolean {
  const target = text.slice(text.indexOf("> ") + 2);
  return isOwn(target.slice(0, target.lastIndexOf(":")), world);
}
