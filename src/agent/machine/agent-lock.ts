/**
 * One agent at a socket: who runs there, or is about to, has a file beside it locked. The kernel takes the lock back when
 * its process ends, however that is; that somebody answers tells nothing of who has only just begun.
 */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { answers } from "../../api/answers.ts";
import { PodwireError } from "../../base/errors.ts";
import { errnoName, type Native } from "../../native/binding.ts";

/** So long one that starts or ends is waited for: an agent that ends takes a second or two. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 50;

/** Gives the lock back. */
type Unlock = () => void;

interface Wish {
  /** Behind "an agent answers at …" and the like. */
  readonly advice: string;
  /** The error's. */
  readonly code: string;
  readonly patienceMs?: number;
}

/** Waits for one that ends. Throws where an agent runs, or goes on neither answering nor ending. */
export async function lockAgent(native: Native, socket: string, wish: Wish): Promise<Unlock> {
  const { advice, code, patienceMs = PATIENCE_MS } = wish;
  const file = `${socket}.lock`;
  mkdirSync(dirname(socket), { recursive: true });
  for (const endMs = performance.now() + patienceMs; ; await sleep(LOOK_MS)) {
    const unlock = tryLock(native, file);
    if (await answers(socket)) {
      unlock?.();
      throw new PodwireError(`an agent answers at ${socket}${advice}`, { code });
    }
    if (unlock !== undefined) return unlock;
    if (performance.now() < endMs) continue;
    throw new PodwireError(`an agent has ${file} locked and does not answer${advice}`, { code });
  }
}

/** As `lockAgent`; where there is no folder for the socket no agent can be, and none is made. */
export async function lockAgentThere(native: Native, socket: string, wish: Wish): Promise<Unlock> {
  return existsSync(dirname(socket)) ? lockAgent(native, socket, wish) : () => {};
}

function tryLock(native: Native, file: string): Unlock | undefined {
  const fd = openSync(file, "a", 0o600);
  const locked = native.lockFd(fd);
  if (locked === 0 && isStill(fd, file)) {
    return () => {
      rmSync(file, { force: true });
      closeSync(fd);
    };
  }
  closeSync(fd);
  const name = errnoName(locked);
  if (locked === 0 || name === "EAGAIN") return undefined;
  throw new PodwireError(`${file}: cannot be locked (${name}): put the socket elsewhere`, {
    code: "AGENT_LOCK",
  });
}

/** Who had it before takes the file away: what is locked then is nobody's name any more. */
function isStill(fd: number, file: string): boolean {
  const { ino, dev } = fstatSync(fd);
  const now = statSync(file, { throwIfNoEntry: false });
  return now?.ino === ino && now.dev === dev;
}
