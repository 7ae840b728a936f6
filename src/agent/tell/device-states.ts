/** Whether the node's own devices are as they have to be, by what the kernel says of them now. */
import { type Counters, PortCounter, portCounter } from "../../dataplane/counters.ts";
import type { Native } from "../../native/binding.ts";
import type { Attachments } from "../attachments.ts";

export interface DeviceState {
  readonly kind: "uplink" | "host";
  readonly interface: string;
  readonly isUp: boolean;
  /** Something is at the other end: a switch, or us. */
  readonly hasCarrier: boolean;
  /** Frames that came, and those that the socket had no room for, since the agent began. */
  readonly received: number;
  readonly missed: number;
}

const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;

export function deviceStates(
  native: Pick<Native, "ifInfo">,
  netns: string,
  ports: Pick<Attachments, "list" | "missed">,
  counters: Counters,
): DeviceState[] {
  const missed = ports.missed();
  return ports.list().flatMap((port): DeviceState[] => {
    const { id, kind } = port;
    if (kind === "pod") return [];
    const facts = new Int32Array(5);
    const flags = native.ifInfo(netns, port.interface, facts) < 0 ? 0 : facts[4];
    return [
      {
        ...{ kind, interface: port.interface },
        ...{ isUp: (flags & IFF_UP) !== 0, hasCarrier: (flags & IFF_RUNNING) !== 0 },
        ...{ received: portCounter(counters, id, PortCounter.RX_PACKETS), missed: missed.get(id) ?? 0 },
      },
    ];
  });
}
