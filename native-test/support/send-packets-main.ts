// Sends the IP packets of a file from the network that it runs in, with whatever source address they have, as a program
// with a raw socket would: node send-packets-main.js FILE, a JSON list of {to, hex}.
import { readFileSync } from "node:fs";
import * as raw from "raw-socket";

const IPPROTO_RAW = 255; // the IP header is ours to write
const packets = JSON.parse(readFileSync(process.argv[2], "utf8")) as { to: string; hex: string }[];
const socket = raw.createSocket({ protocol: IPPROTO_RAW, addressFamily: raw.AddressFamily.IPv4 });
socket.on("error", () => {}); // an ICMP error that came back

for (const { to, hex } of packets) {
  const packet = Buffer.from(hex, "hex");
  const error = await new Promise<Error | null>((resolve) => {
    socket.send(packet, 0, packet.length, to, null, (failed: Error | null) => resolve(failed));
  });
  if (error !== null && error !== undefined) process.stderr.write(`${to}: ${error.message}\n`);
}
socket.close();
