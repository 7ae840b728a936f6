// A proxy of the mesh as small as one can be: no TLS, no identities, nothing but the way. It accepts connections for any
// address on one port, hands those for pods of other nodes to the other relay, and opens those for pods of its own in the
// client's name. In a pod's network namespace, by programs: AnyIP and addresses that are not its own as sources.
import { run } from "../../src/testing/lab/process.ts";

/** Where relays reach each other: HBONE's port, in plain. */
export const PEER_PORT = 15_008;

/** Arguments: own prefixes ("10.244.1.,fd00:10:244:1:"), the other relay's address, the port that is captured. */
export const RELAY = `
const net = require("node:net");
const [own, peer, port] = process.argv.slice(1);
const plain = (address) => address.replace(/^::ffff:/, "");
const isOwn = (address) => own.split(",").some((prefix) => address.startsWith(prefix));
const couple = (a, b) => {
  a.pipe(b); b.pipe(a);
  for (const [one, other] of [[a, b], [b, a]]) one.on("error", () => other.destroy());
};
const deliver = (socket, src, dst) => {
  console.log("deliver " + src + " " + dst);
  couple(socket, net.connect({ host: dst, port: +port, localAddress: src }));
};
net.createServer({ allowHalfOpen: true }, (socket) => {
  const [src, dst] = [plain(socket.remoteAddress), plain(socket.localAddress)];
  if (isOwn(dst)) return deliver(socket, src, dst);
  console.log("carry " + src + " " + dst + " " + socket.remotePort);
  const to = net.connect({ host: peer, port: ${PEER_PORT} });
  to.write(src + " " + dst + "\\n");
  couple(socket, to);
}).listen(+port, "::");
net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.once("data", (bytes) => {
    const end = bytes.indexOf(10);
    const [src, dst] = bytes.subarray(0, end).toString().split(" ");
    socket.pause();
    socket.unshift(bytes.subarray(end + 1));
    deliver(socket, src, dst);
  });
}).listen(${PEER_PORT}, "::", () => console.log("relay is ready"));
`;

/** Lets a namespace take in whatever comes by eth0, and send from whatever address; the names of what failed. */
export async function acceptAnything(netns: string): Promise<string[]> {
  const ip = (family: string, words: string): string[] => ["ip", family, ...words.split(" ")];
  const commands = [
    ["sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1", "net.ipv6.ip_nonlocal_bind=1"],
    ["sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=1"], // it would answer for everybody else,
    ["sysctl", "-qw", "net.ipv4.conf.eth0.arp_announce=2"], // and ask in their names
    ...["-4", "-6"].flatMap((family) => [
      ip(family, "route add local default dev lo table local"),
      ip(family, "rule add pref 1 iif eth0 lookup local"),
      ip(family, "rule del pref 0"),
    ]),
    ip("-6", "rule add pref 2 to ff00::/8 lookup local"),
  ];
  const failed: string[] = [];
  for (const command of commands) {
    const { status, stderr } = await run(["nsenter", `--net=${netns}`, ...command]);
    if (status !== 0) failed.push(`${command.join(" ")}: ${stderr.trim()}`);
  }
  return failed;
}
