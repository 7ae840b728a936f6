// The addon's part over ports without descriptors: they receive and transmit by themselves, and every frame is summed as
// the addon sums it (its twin does). So all that the plane does can be tested with those sums and without.
import { type Io, Join } from "../../base/addon.ts";
import type { PortTable } from "../../dataplane/send/port-table.ts";
import { frameSum } from "../../wire/bytes/offload.ts";
import { concat } from "../frames/bytes.ts";

const EBADF = 9;
const VNET_HDR_BYTES = 10;

/** A port's "descriptor" is its PortId. */
export class SummingIo implements Io {
  ports: PortTable | null = null;
  /** Frames that had a sum. */
  summed = 0;

  receive(
    fd: number,
    _kind: number,
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    slotBytes: number,
    _byteBudget: number,
    sums: Int32Array,
    sumFrom: number,
  ): number {
    const count = this.ports?.devices[fd]?.receive?.(arena, offs, lens, first, max, slotBytes) ?? -EBADF;
    for (let i = first; i < first + count; i++) {
      sums[i] = frameSum(arena, offs[i], lens[i], sumFrom);
      if (sums[i] >= 0) this.summed++;
    }
    return count;
  }

  transmit(
    fds: Int32Array,
    _kinds: Int32Array,
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    count: number,
    results: Int32Array,
    joins: Int32Array,
  ): number {
    let sent = 0;
    for (let i = 0; i < count; i++) {
      if (joins[i] >>> Join.SKIP_SHIFT !== 0) continue;
      const parts = [arena.subarray(offs[i] - VNET_HDR_BYTES, offs[i] + lens[i])];
      const members = [i];
      for (let k = joins[i] & Join.NEXT_MASK; k !== 0; k = joins[k] & Join.NEXT_MASK) {
        parts.push(arena.subarray(offs[k] + (joins[k] >>> Join.SKIP_SHIFT), offs[k] + lens[k]));
        members.push(k);
      }
      const bytes = concat(...parts);
      const device = this.ports?.devices[fds[i]];
      const result = device?.transmit?.(bytes, VNET_HDR_BYTES, bytes.length - VNET_HDR_BYTES) ?? -EBADF;
      for (const k of members) results[k] = result;
      if (result === 0) sent += members.length;
    }
    return sent;
  }
}
