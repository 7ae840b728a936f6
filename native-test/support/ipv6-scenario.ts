// What programs see of a lab over IPv6, for one that holds `dualStackObjects` on nodes node1 and node2.
import { randomBytes } from "node:crypto";
import type { Test } from "tap";
import type { TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT, standardObjects, UDP_NODE_PORT, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { ask } from "./service-scenario.ts";

export const OUTSIDE6 = "fd00:192:168:50::100";
export const NODES6 = ["fd00:192:168:50::11", "fd00:192:168:50::12"] as const;
const DATAGRAM_BYTES = 30_000;
const REQUESTS = 100;

// biome-ignore lint/suspicious/noExplicitAny: read and checked here only
type Json = any;

/** The objects of the IPv4 tests; their Service gets an address of every family that the lab has. */
export function dualStackObjects(): object[] {
  return standardObjects().map((object: Json) =>
    object.kind === "Service"
      ? { ...object, spec: { ...object.spec, ipFamilyPolicy: "PreferDualStack" } }
      : object,
  );
}

export async function podAddress6(lab: TestLab, name: string): Promise<string> {
  const { podIPs } = (await lab.json("get", "pods", name)).status;
  return podIPs.map((entry: Json) => entry.ip).find((ip: string) => ip.includes(":"));
}

export async function clusterIP6(lab: TestLab): Promise<string> {
  const { clusterIPs } = (await lab.json("get", "services", "web")).spec;
  return clusterIPs.find((ip: string) => ip.includes(":"));
}

export function pathScenario6(t: Test, lab: () => TestLab, podMtu: number): void {
  const places: [string, string, () => Promise<string>][] = [
    ["within a node", "client-1", () => podAddress6(lab(), "web-1")],
    ["across the overlay", "client-1", () => podAddress6(lab(), "web-2")],
    ["back across the overlay", "client-2", () => podAddress6(lab(), "web-1")],
    ["to the outside", "client-1", async () => OUTSIDE6],
    ["from a node to a pod of the other", "node/node1", () => podAddress6(lab(), "web-2")],
    ["to a node's own address", "client-1", async () => NODES6[1]],
    ["to the gateway", "client-1", async () => "fd00:10:244:1::1"],
  ];
  for (const [where, from, to] of places) {
    for (const bytes of [64, 8000]) {
      t.test(`ping -6 with ${bytes} bytes ${where}`, async (t) => {
        const command = ["ping", "-6", "-n", "-i", "0.2", "-W", "2", "-s", String(bytes)];
        // Whoever answers with longer fragments than a pod may get has to be told so first, by an error of ours.
        await lab().exec(from, [...command, "-c", "1", await to()]);
        const result = await lab().exec(from, [...command, "-c", "5", await to()]);
        t.match(result.stdout, /5 packets transmitted, 5 received/);
      });
    }
  }

  t.test("traceroute -6 shows the gateways on the way", async (t) => {
    const target = await podAddress6(lab(), "web-2");
    const command = ["traceroute", "-6", "-n", "-q", "1", "-w", "2", "-m", "6", target];
    const { stdout } = await lab().exec("client-1", command);
    const hops = [...stdout.matchAll(/^ *\d+ +(\S+)/gm)].map((m) => m[1]);
    t.equal(hops.length, 3, stdout);
    t.equal(hops[0], "fd00:10:244:1::1");
    t.match(hops[1], /^fd00:10:244:2::1?$/, "the other node, by its gateway or its VTEP");
    t.equal(hops[2], target);
  });

  t.test("tracepath -6 finds the path MTU of the overlay", async (t) => {
    const target = await podAddress6(lab(), "web-2");
    const { stdout } = await lab().exec("client-1", ["tracepath", "-6", "-n", target]);
    t.match(stdout, new RegExp(`pmtu ${podMtu}`));
    t.match(stdout, /reached/);
  });

  for (const [where, from, target] of [
    ["a pod on the same node", "client-1", async () => `[${await podAddress6(lab(), "web-1")}]:${UDP_PORT}`],
    ["a pod on the other node", "client-1", async () => `[${await podAddress6(lab(), "web-2")}]:${UDP_PORT}`],
    ["a ClusterIP", "client-1", async () => `[${await clusterIP6(lab())}]:${UDP_PORT}`],
    ["a NodePort, from outside", "client/outside", async () => `[${NODES6[0]}]:${UDP_NODE_PORT}`],
  ] as const) {
    t.test(`a datagram of ${DATAGRAM_BYTES} bytes to ${where} comes back`, async (t) => {
      const input = randomBytes(DATAGRAM_BYTES);
      const command = ["socat", "-b65536", "-t2", "-", `UDP6:${await target()}`];
      const first = command.with(2, "-t0.3"); // as above: the way back may have to learn the path MTU
      await lab().exec(from, first, { input });
      const result = await lab().exec(from, command, { input });
      t.equal(result.stdout.length, DATAGRAM_BYTES);
      t.ok(Buffer.from(result.stdout, "latin1").equals(input), "byte for byte");
    });
  }
}

export function serviceScenario6(t: Test, lab: () => TestLab): void {
  const seenBy = (answers: { pod: string; client: string }[], pod: string) =>
    [...new Set(answers.filter((a) => a.pod === pod).map((a) => a.client.replace(/:\d+$/, "")))].sort();

  t.test("a pod reaches both endpoints of a ClusterIP and is seen with its own address", async (t) => {
    const answers = await ask(lab(), "client-1", `http://[${await clusterIP6(lab())}]`, REQUESTS);
    t.equal(answers.length, REQUESTS);
    const self = `[${await podAddress6(lab(), "client-1")}]`;
    for (const pod of ["web-1", "web-2"]) t.same(seenBy(answers, pod), [self]);
  });

  t.test("a node's own programs are seen with the gateway's or the VTEP's address", async (t) => {
    const answers = await ask(lab(), "node/node1", `http://[${await clusterIP6(lab())}]`, REQUESTS);
    t.same(seenBy(answers, "web-1"), ["[fd00:10:244:1::1]"]);
    t.same(seenBy(answers, "web-2"), ["[fd00:10:244:1::]"]);
  });

  t.test("a pod reaches itself through its own Service", async (t) => {
    const answers = await ask(lab(), "web-1", `http://[${await clusterIP6(lab())}]`, REQUESTS);
    t.same(seenBy(answers, "web-1"), ["[fd00:10:244:1::1]"]);
  });

  for (const [i, address] of NODES6.entries()) {
    t.test(`an outside client reaches the NodePort of node${i + 1}`, async (t) => {
      const answers = await ask(lab(), "client/outside", `http://[${address}]:${NODE_PORT}`, REQUESTS);
      t.equal(answers.length, REQUESTS);
      const [near, far] = i === 0 ? ["web-1", "web-2"] : ["web-2", "web-1"];
      t.same(seenBy(answers, near), [`[fd00:10:244:${i + 1}::1]`], "masqueraded with the gateway");
      t.same(seenBy(answers, far), [`[fd00:10:244:${i + 1}::]`], "masqueraded with the VTEP");
    });
  }

  t.test("a server outside the cluster sees the node's address", async (t) => {
    const program = `require("node:http").createServer((q, r) => r.end(q.socket.remoteAddress))
      .listen(8000, "${OUTSIDE6}", () => console.log("listening"))`;
    const server = await lab().startIn("client/outside", ["node", "-e", program], /listening/);
    for (const [pod, node] of [
      ["client-1", NODES6[0]],
      ["client-2", NODES6[1]],
    ]) {
      const result = await lab().exec(pod, ["curl", "-sS", "--max-time", "5", `http://[${OUTSIDE6}]:8000/`]);
      t.equal(result.stdout, node, `${pod} is seen as its node`);
    }
    await server.stop();
  });
}

export function trafficScenario6(t: Test, lab: () => TestLab): void {
  for (const pod of ["web-1", "web-2"]) {
    for (const reverse of [[], ["-R"]]) {
      t.test(`a TCP stream to ${pod} ${reverse.join("")} never stalls`, async (t) => {
        const server = await lab().startIn(pod, ["iperf3", "-s", "-1", "--forceflush"], /listening/);
        const target = await podAddress6(lab(), pod);
        const command = ["iperf3", "-6", "-c", target, "-J", "-t", "2", "-i", "0.5", ...reverse];
        const report = JSON.parse((await lab().exec("client-1", command)).stdout);
        await server.stop();
        t.equal(report.error, undefined);
        const { bytes, bits_per_second } = report.end.sum_received;
        t.ok(bytes > 10_000_000, `${(bits_per_second / 1e9).toFixed(2)} Gbit/s`);
        const silent = report.intervals.filter((i: Json) => i.sum.bytes === 0 && i.sum.seconds > 0.1);
        t.equal(silent.length, 0);
      });
    }
  }
}
