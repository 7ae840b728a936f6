// Plays conversations to one side, the kernel or podwire: sends each step to where the other end is known by then, notes
// what came out where, and in the end which connections there are.
import type { Conversation, Protocol } from "./conversations.ts";
import type { Seen } from "./outcome.ts";
import type { JudgedMode } from "./scenario.ts";
import { type End, endsOfFrame, isOwn, type Place, placeOf, talkFrame, wayText } from "./talk-places.ts";
import type { Step } from "./tcp-talk.ts";
import type { World } from "./world.ts";

const STREAM_PAUSE_MS = 2300; // a UDP flow is a stream after two seconds

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
  /** Steps that ended by a documented choice, and how the packet would have gone on as it came. */
  readonly chosen: Map<number, string>;
  /** A port that this side chose at random was one of another conversation: what came of either is left to chance. */
  hasMet: boolean;
}

/**
 * Which conversation sent or got packets between which two ends: the entries that are listed in the end are known by
 * it. A port chosen at random may make the ends of one conversation those of another.
 */
class Ends {
  readonly #players = new Map<string, Player>();

  claim(ends: Entry["orig"], player: Player): void {
    const key = keyOf(player.protocol, ends);
    const before = this.#players.get(key) ?? player;
    this.#players.set(key, before);
    if (before === player) return;
    before.told.hasMet = true;
    player.told.hasMet = true;
  }

  playerOf({ protocol, orig }: Entry): Player | undefined {
    return this.#players.get(keyOf(protocol, orig));
  }
}

function keyOf(protocol: string, { from, to }: Entry["orig"]): string {
  const ends = [from, to].map(({ address, port }) => `${address} ${port}`);
  return `${protocol.toLowerCase().replace("icmpv6", "icmp")} ${ends.sort().join(" ")}`;
}

class Player {
  readonly told: Told = { steps: [], entries: [], chosen: new Map(), hasMet: false };
  readonly place: Place;
  readonly protocol: Protocol;
  readonly #world: World;
  readonly #ends: Ends;
  #client: End;
  #server: End;

  constructor(conversation: Conversation, index: number, world: World, ends: Ends) {
    this.protocol = conversation.protocol;
    this.#world = world;
    this.#ends = ends;
    this.place = placeOf(conversation, index, world);
    this.#client = this.place.client;
    this.#server = this.place.server;
    // Where both keep their ports; whoever is moved to just that has met it, though it may be moved away itself.
    const { client, server } = this.place;
    const isQuery = this.protocol === "ICMP";
    ends.claim({ from: client, to: isQuery ? { ...server, port: client.port } : server }, this);
  }

  play(side: TalkSide, step: Step, id: number): void {
    const { place } = this;
    const isClient = step.from === "client";
    const where = isClient ? place.clientAt : place.serverAt;
    const [from, to] = isClient ? [place.client, place.target] : [this.#server, this.#client];
    const before = side.choices();
    const frame = talkFrame(this.protocol, step, from, to, id);
    const sent = endsOfFrame(frame);
    if (sent !== undefined) this.#ends.claim(sent, this);
    const seen = side.inject([{ where, frame }]);
    if (side.choices() > before && sent !== undefined) {
      this.told.chosen.set(this.told.steps.length, wayText(sent, place, this.protocol, this.#world));
    }
    const out = seen.frames.get(id & (this.#world.family === 4 ? 0xffff : 0xfffff));
    const ends = out === undefined ? undefined : endsOfFrame(out.frame);
    if (out === undefined || ends === undefined) {
      this.told.steps.push("nothing");
      return;
    }
    this.#ends.claim(ends, this);
    // A packet that went on as it came, being INVALID, says nothing of the connection's translation.
    const isTranslated = sent === undefined || keyOf("", ends) !== keyOf("", sent);
    if (isClient && isTranslated && out.where === place.serverAt)
      [this.#client, this.#server] = [ends.from, ends.to];
    this.told.steps.push(`${out.where}: ${wayText(ends, place, this.protocol, this.#world)}`);
  }
}

/** All of a batch, each one's early part at a time, then the pause, then the rest. */
export async function tell(side: TalkSide, batch: readonly Conversation[], world: World): Promise<Told[]> {
  side.forget();
  let id = 0;
  const ends = new Ends();
  const players = batch.map((conversation, i) => new Player(conversation, i, world, ends));
  for (const [i, { early }] of batch.entries()) for (const step of early) players[i].play(side, step, ++id);
  if (batch.some(({ late }) => late.length > 0)) await side.pause(STREAM_PAUSE_MS);
  for (const [i, { late }] of batch.entries()) for (const step of late) players[i].play(side, step, ++id);
  for (const entry of side.entries()) {
    if (isForItself(entry, world)) continue;
    const player = ends.playerOf(entry);
    if (player === undefined) throw new Error(`an entry that nobody caused: ${JSON.stringify(entry)}`);
    player.told.entries.push(entryText(entry, player.place, world));
  }
  for (const { told } of players) told.entries.sort();
  return players.map(({ told }) => told);
}

function entryText(entry: Entry, place: Place, world: World): string {
  const { protocol, state, timeout, orig, reply, flags, packets } = entry;
  const way = (ends: Entry["orig"]): string => wayText(ends, place, protocol, world);
  return `${protocol} ${state} ${timeout} ${way(orig)}, ${way(reply)} ${flags} ${packets}`;
}

/**
 * Lines of what differs between two sides, none when nothing does or chance had its hand in it. Of `podwire` the
 * documented choice is known: an INVALID packet of a translated connection goes nowhere. Linux hands it on as it came:
 * in iptables mode to the node's own stack alone, since a rule drops what is forwarded; in nftables mode to anybody.
 */
export function differences(kernel: Told, podwire: Told, world: World, mode: JudgedMode): string[] {
  if (kernel.hasMet || podwire.hasMet) return [];
  const lines: string[] = [];
  for (const [i, text] of kernel.steps.entries()) {
    const asItCame = podwire.chosen.get(i);
    const isChosen =
      asItCame !== undefined &&
      text.endsWith(`: ${asItCame}`) &&
      (mode === "nftables" || (text.startsWith("host: ") && isOwnTarget(text, world)));
    if (text !== podwire.steps[i] && !isChosen) {
      lines.push(`step ${i + 1}: kernel ${text}, podwire ${podwire.steps[i]}`);
    }
  }
  const [left, right] = [kernel.entries.join(" | "), podwire.entries.join(" | ")];
  if (left !== right) lines.push(`connections: kernel ${left || "none"}, podwire ${right || "none"}`);
  return lines;
}

/** Of the node itself, untranslated: what witnesses such a packet drops it before the kernel would list it. */
function isForItself({ orig, reply }: Entry, world: World): boolean {
  const { address, port } = orig.to;
  return isOwn(address, world) && reply.from.address === address && reply.from.port === port;
}

function isOwnTarget(text: string, world: World): boolean {
  const target = text.slice(text.indexOf("> ") + 2);
  return isOwn(target.slice(0, target.lastIndexOf(":")), world);
}
