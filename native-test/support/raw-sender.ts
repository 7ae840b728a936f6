// Sends packets from inside a network namespace, as a program on that machine would: they pass the OUTPUT
// hooks. A process of its own, since a process is in one namespace. Orders come over IPC, and each is
// answered once the kernel has taken all packets.
//   node raw-sender.js 4|6
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import * as raw from "raw-socket";

export interface Order {
  readonly packets: readonly { readonly to: string; readonly hex: string }[];
  /** First forget which client had which endpoint: the lists of xt_recent. */
  readonly forget: boolean;
}

const RECENT = "/proc/net/xt_recent";
const IPPROTO_RAW = 255; // the IP header is ours to write

const family = process.argv[2] === "6" ? raw.AddressFamily.IPv6 : raw.AddressFamily.IPv4;
const socket = raw.createSocket({ protocol: IPPROTO_RAW, addressFamily: family });
socket.on("error", () => {}); // an ICMP error that came back: it is seen elsewhere

function send(to: string, packet: Buffer): Promise<void> {
  return new Promise((resolve) => socket.send(packet, 0, packet.length, to, null, () => resolve()));
}

function forgetClients(): void {
  if (!existsSync(RECENT)) return;
  for (const list of readdirSync(RECENT)) writeFileSync(`${RECENT}/${list}`, "/");
}

process.on("message", async ({ packets, forget }: Order) => {
  if (forget) forgetClients();
  for (const { to, hex } of packets) await send(to, Buffer.from(hex, "hex"));
  process.send?.({ sent: packets.length });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ sent: 0 });
