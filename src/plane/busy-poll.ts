/**
 * How long the data-plane thread polls before it blocks. A thread that blocks is woken tens of microseconds late, and
 * under a stream the next packet comes sooner than that. So the window doubles while packets come within the limit,
 * and halves when they do not: an idle node, or one with a packet now and then, polls for nothing. KVM's halt polling
 * works the same way (Linux Documentation/virt/kvm/halt-polling.rst).
 */

/** The first window, µs; smaller ones are none. */
const FIRST_US = 10;

export class BusyPoll {
  /** µs to poll next time. */
  windowUs = 0;
  limitUs: number;

  /** limitUs: the longest window, µs; 0: never poll, always block. */
  constructor(limitUs: number) {
    this.limitUs = limitUs;
  }
}

/** Takes in how long the last wait was until something came, µs. */
export function learn(b: BusyPoll, waitedUs: number): void {
  if (waitedUs > b.limitUs) {
    b.windowUs = b.windowUs < 2 * FIRST_US ? 0 : b.windowUs >> 1;
    return;
  }
  const next = b.windowUs === 0 ? FIRST_US : b.windowUs * 2;
  b.windowUs = next < b.limitUs ? next : b.limitUs;
}
