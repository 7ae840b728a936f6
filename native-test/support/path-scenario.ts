// The way between two places as ping, traceroute, tracepath and a large datagram see it, for a lab that holds
// `standardObjects`.
import { randomBytes } from "node:crypto";
import type { Test } from "tap";
import type { TestLab } from "../../src/testing/lab/lab.ts";
import { UDP_PORT } from "../../src/testing/lab/objects.ts";

const OUTSIDE = "192.168.50.100";
const DATAGRAM_BYTES = 30_000; // 21 fragments at an MTU of 1450

export function pathScenario(t: Test, lab: () => TestLab): void {
  const places: [string, string, () => Promise<string>][] = [
    ["within a node", "client-1", () => lab().podAddress("web-1")],
    ["across the overlay", "client-1", () => lab().podAddress("web-2")],
    ["back across the overlay", "client-2", () => lab().podAddress("web-1")],
    ["to the outside", "client-1", async () => OUTSIDE],
    ["from a node to a pod of the other", "node/node1", () => lab().podAddress("web-2")],
    ["to a node's own address", "client-1", async () => "192.168.50.12"],
  ];
  for (const [where, from, to] of places) {
    for (const bytes of [64, 8000]) {
      t.test(`ping with ${bytes} bytes ${where}`, async (t) => {
        const command = ["ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", "-s", String(bytes), await to()];
        const result = await lab().exec(from, command);
        t.match(result.stdout, /5 packets transmitted, 5 received/);
      });
    }
  }

  t.test("traceroute shows the gateways on the way", async (t) => {
    const target = await lab().podAddress("web-2");
    const command = ["traceroute", "-n", "-q", "1", "-w", "2", "-m", "6", target];
    const { stdout } = await lab().exec("client-1", command);
    const hops = [...stdout.matchAll(/^ *\d+ +(\S+)/gm)].map((m) => m[1]);
    t.equal(hops.length, 3, stdout);
    t.equal(hops[0], "10.244.1.1");
    t.match(hops[1], /^10\.244\.2\.[01]$/, "the other node, by its gateway or its VTEP");
    t.equal(hops[2], target);
  });

  t.test("tracepath finds the path MTU of the overlay", async (t) => {
    const { stdout } = await lab().exec("client-1", ["tracepath", "-n", await lab().podAddress("web-2")]);
    t.match(stdout, /pmtu 1450/);
    t.match(stdout, /reached/);
  });

  for (const [where, target] of [
    ["a pod on the same node", () => lab().podAddress("web-1")],
    ["a pod on the other node", () => lab().podAddress("web-2")],
    ["a ClusterIP", () => lab().clusterIP("web")],
  ] as const) {
    t.test(`a datagram of ${DATAGRAM_BYTES} bytes to ${where} comes back`, async (t) => {
      const input = randomBytes(DATAGRAM_BYTES);
      const command = ["socat", "-b65536", "-t2", "-", `UDP4:${await target()}:${UDP_PORT}`];
      const result = await lab().exec("client-1", command, { input });
      t.equal(result.stdout.length, DATAGRAM_BYTES);
      t.ok(Buffer.from(result.stdout, "latin1").equals(input), "byte for byte");
    });
  }
}
