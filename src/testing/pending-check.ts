// Whether the table of connections that wait for their endpoint is sound: every entry free or accounted for.
import type { PendingConnections } from "../dataplane/table/service/pending-connections.ts";

/** What is wrong; undefined when nothing is. */
export function pendingProblem(p: PendingConnections): string | undefined {
  if (isUntouched(p)) return undefined;
  const isOpen = (e: number): boolean => p.attempt[e] !== 0;
  const entries = Array.from({ length: p.capacity }, (_, e) => e);
  const open = entries.filter(isOpen);
  if (open.length !== p.header[3]) return `${open.length} entries are open, ${p.header[3]} are counted`;
  const owned = p.owner.reduce((n, e) => n + (e === 0 ? 0 : 1), 0);
  const attached = open.filter((e) => p.connection[e] !== 0);
  if (owned !== attached.length) return `${owned} connections own an entry, ${attached.length} are owned`;
  if (attached.some((e) => p.owner[p.connection[e] - 1] !== e + 1)) return "an entry is not its owner's";
  const lost = open.find((e) => p.queue[e] === 0);
  if (lost !== undefined) return `entry ${lost} is in no queue: nobody will ever close it`;
  const queued = queues(p);
  if (typeof queued === "string") return queued;
  return queued === open.length ? undefined : `${queued} entries are in queues, ${open.length} are open`;
}

/** No entry is open, owned, counted or in a queue: then there is nothing to be wrong. After most packets it is so. */
function isUntouched(p: PendingConnections): boolean {
  if (p.header[3] !== 0 || !isZero(p.attempt) || !isZero(p.owner)) return false;
  return isZero(p.header.subarray(6, 16));
}

const ZEROS = Buffer.alloc(65_536);

function isZero({ buffer, byteOffset, byteLength }: Uint8Array | Int32Array): boolean {
  for (let at = 0; at < byteLength; at += ZEROS.length) {
    const bytes = Buffer.from(buffer, byteOffset + at, Math.min(ZEROS.length, byteLength - at));
    if (bytes.compare(ZEROS, 0, bytes.length) !== 0) return false; // memcmp: a loop takes thirty times as long
  }
  return true;
}

/** Entries in all queues, or what is wrong with one. */
function queues(p: PendingConnections): number | string {
  let count = 0;
  for (let queue = 0; queue < 5; queue++) {
    let last = 0;
    for (let e = p.header[6 + queue]; e !== 0; e = p.next[e - 1]) {
      if (p.queue[e - 1] !== queue + 1) return `entry ${e - 1} is in queue ${queue}, but does not know it`;
      if (p.before[e - 1] !== last) return `queue ${queue} is not linked back at entry ${e - 1}`;
      if (last !== 0 && ((p.dueMs[e - 1] - p.dueMs[last - 1]) | 0) < 0)
        return `queue ${queue} is out of order`;
      if (++count > p.capacity) return `queue ${queue} has no end`;
      last = e;
    }
    if (p.header[11 + queue] !== last) return `queue ${queue} has another end`;
  }
  return count;
}
