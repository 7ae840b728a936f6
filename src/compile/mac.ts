// MAC addresses, made from IP addresses so that every node knows every other's without asking: 0a:58 and the IPv4
// address, as the CNI bridge plugin does; 0e, the VNI's low byte and the node's address for tunnel ends.
import type { Ip } from "../base/ip.ts";
import type { OverlayConfig } from "../config/agent.ts";

/** As the plane keeps it: bytes 0–1 as u16, bytes 2–5 as i32. */
export interface Mac {
  readonly hi: number;
  readonly lo: number;
}

/** Of a gateway or pod, from the first IPv4 address (else the low word of the first address). */
export function macOf(addresses: readonly Ip[]): Mac {
  return { hi: 0x0a58, lo: lowWord(addresses) };
}

/** Of a node's tunnel end. */
export function vtepMac(overlay: OverlayConfig, addresses: readonly Ip[]): Mac {
  const vni = overlay.type === "vxlan" ? overlay.vni : 0;
  return { hi: 0x0e00 | (vni & 0xff), lo: lowWord(addresses) };
}

function lowWord(addresses: readonly Ip[]): number {
  return (addresses.find((a) => a.family === 4) ?? addresses[0])?.w3 ?? 0;
}

export function macFromText(text: string): Mac | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  const bytes = text.split(":").map((byte) => Number.parseInt(byte, 16));
  return {
    hi: (bytes[0] << 8) | bytes[1],
    lo: (bytes[2] << 24) | (bytes[3] << 16) | (bytes[4] << 8) | bytes[5],
  };
}
