// Services as programs see them, for a lab that holds `standardObjects`: whoever asks, every request is
// answered, the load is spread, and the server sees the address that it would see behind kube-proxy.
import type { Test } from "tap";
import type { TestLab } from "../../src/testing/lab/lab.ts";
import { HTTP_PORT, NODE_PORT } from "../../src/testing/lab/objects.ts";

const REQUESTS = 1000;

interface Answer {
  pod: string;
  client: string;
  server: string;
}

const hostOf = (endpoint: string) => endpoint.slice(0, endpoint.lastIndexOf(":"));

/** Sends requests, each on a connection of its own, and returns what the servers answered. */
export async function ask(lab: TestLab, from: string, url: string, count = REQUESTS): Promise<Answer[]> {
  const command = [
    "curl",
    "-sS",
    "--fail",
    "--max-time",
    "10",
    "-H",
    "Connection: close",
    `${url}/?n=[1-${count}]`,
  ];
  const result = await lab.exec(from, command, { timeoutMs: 60_000 });
  if (result.status !== 0) throw new Error(`curl from ${from} to ${url}: ${result.status}: ${result.stderr}`);
  return result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Both endpoints get between 40 and 60 % of the requests, and nobody else gets any. */
function spread(t: Test, answers: Answer[], count = REQUESTS): void {
  t.equal(answers.length, count, "all answered");
  for (const pod of ["web-1", "web-2"]) {
    const share = answers.filter((a) => a.pod === pod).length / count;
    t.ok(share >= 0.4 && share <= 0.6, `${pod} got ${(share * 100).toFixed(1)} %`);
  }
}

/** The client address that each server saw, one value a server. */
function seenBy(answers: Answer[], pod: string): string[] {
  return [...new Set(answers.filter((a) => a.pod === pod).map((a) => hostOf(a.client)))].sort();
}

export function serviceScenario(t: Test, lab: () => TestLab): void {
  t.test("a pod reaches both endpoints of a ClusterIP and is seen with its own address", async (t) => {
    const self = await lab().podAddress("client-1");
    const answers = await ask(lab(), "client-1", `http://${await lab().clusterIP("web")}`);
    spread(t, answers);
    for (const pod of ["web-1", "web-2"]) t.same(seenBy(answers, pod), [self], `${pod} saw the pod`);
    t.ok(answers.every((a) => a.server.endsWith(`:${HTTP_PORT}`)));
  });

  t.test("a node's own programs reach a ClusterIP", async (t) => {
    const answers = await ask(lab(), "node/node1", `http://${await lab().clusterIP("web")}`);
    spread(t, answers);
    // Not from a pod, so kube-proxy masquerades: with the gateway towards a local pod, the VTEP through the
    // tunnel.
    t.same(seenBy(answers, "web-1"), ["10.244.1.1"]);
    t.same(seenBy(answers, "web-2"), ["10.244.1.0"]);
  });

  t.test("a pod reaches itself through its own Service", async (t) => {
    const self = await lab().podAddress("web-1");
    const answers = await ask(lab(), "web-1", `http://${await lab().clusterIP("web")}`);
    spread(t, answers);
    t.same(seenBy(answers, "web-1"), ["10.244.1.1"], "its own packets come back from the gateway");
    t.same(seenBy(answers, "web-2"), [self]);
  });

  for (const [node, address, prefix] of [
    ["node1", "192.168.50.11", "10.244.1"],
    ["node2", "192.168.50.12", "10.244.2"],
  ]) {
    t.test(`an outside client reaches the NodePort of ${node}`, async (t) => {
      const answers = await ask(lab(), "client/outside", `http://${address}:${NODE_PORT}`);
      spread(t, answers);
      const [near, far] = node === "node1" ? ["web-1", "web-2"] : ["web-2", "web-1"];
      t.same(seenBy(answers, near), [`${prefix}.1`], "masqueraded with the gateway");
      t.same(seenBy(answers, far), [`${prefix}.0`], "masqueraded with the VTEP");
    });
  }

  t.test("a server outside the cluster sees the node's address", async (t) => {
    const program = `require("node:http").createServer((q, r) => r.end(q.socket.remoteAddress))
      .listen(8000, "192.168.50.100", () => console.log("listening"))`;
    const server = await lab().startIn("client/outside", ["node", "-e", program], /listening/);
    for (const [pod, node] of [
      ["client-1", "192.168.50.11"],
      ["client-2", "192.168.50.12"],
    ]) {
      const result = await lab().exec(pod, ["curl", "-sS", "--max-time", "5", "http://192.168.50.100:8000/"]);
      t.equal(result.stdout, node, `${pod} is seen as its node`);
    }
    await server.stop();
  });
}
