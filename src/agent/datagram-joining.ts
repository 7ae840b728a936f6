/**
 * Which pods get UDP datagrams joined to superframes (dataplane/send/join.ts): all, where the kernel was seen to cut one
 * as it should, but those that are annotated not to, and those in which a socket reads frames as they come from the
 * device. tcpdump, a packet socket, a raw socket of UDP: they would see the superframe, so while there is one the pod
 * gets its datagrams one by one. Nobody tells us of sockets in other namespaces, so each pod's is looked into once a
 * second.
 */

import type { Native } from "../native/binding.ts";
import { testJoining } from "../plane/join-test.ts";
import type { Plane } from "../plane/plane.ts";

/** A pod's port. `device` is another object for another device under the same id. */
export interface JoiningPort {
  readonly id: number;
  readonly device: object;
  readonly netns: string;
  readonly mayJoin: boolean;
}

const STEP_MS = 100;
/** Each pod once in so many steps; of very many pods, as many a step as take no more than a few milliseconds. */
const STEPS = 10;
const PER_STEP = 32;

export class DatagramJoining {
  /** Why no pod gets superframes; "": they may. */
  problem = "it has not been tried yet";
  onNote: (text: string) => void = () => {};
  readonly #native: Native;
  readonly #plane: Pick<Plane, "apply">;
  readonly #ports: () => readonly JoiningPort[];
  /** What the plane was told, by device; nothing yet: no. */
  readonly #told = new WeakMap<object, boolean>();
  #left: readonly JoiningPort[] = [];
  #steps = 0;
  #isStarted = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(native: Native, plane: Pick<Plane, "apply">, ports: () => readonly JoiningPort[]) {
    this.#native = native;
    this.#plane = plane;
    this.#ports = ports;
  }

  /** Tries the kernel, once, and goes on looking. `isWanted`: the configuration's word. */
  start(isWanted: boolean): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.problem = isWanted ? testJoining(this.#native) : "dataplane.joinDatagrams is false";
    if (isWanted && this.problem !== "") this.onNote(`UDP datagrams enter pods one by one: ${this.problem}`);
    if (this.problem !== "") return;
    this.#timer = setInterval(() => void this.step(), STEP_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Looks at some pods. */
  async step(): Promise<void> {
    if (this.#steps-- <= 0 && this.#left.length === 0) {
      this.#left = this.#ports();
      this.#steps = STEPS - 1;
    }
    const share = Math.min(PER_STEP, Math.ceil(this.#left.length / Math.max(1, this.#steps)));
    const now = this.#left.slice(0, share);
    this.#left = this.#left.slice(share);
    for (const port of now) await this.#look(port);
  }

  async #look({ id, device, netns, mayJoin }: JoiningPort): Promise<void> {
    const joins = mayJoin && this.#native.frameReaders(netns) === 0;
    if (joins === (this.#told.get(device) ?? false)) return;
    // The port may have gone, or be another's, while others were looked at.
    if (!this.#ports().some((port) => port.device === device && port.id === id)) return;
    this.#told.set(device, joins);
    await this.#plane.apply({ type: "join", port: id, on: joins ? 1 : 0 });
  }
}
