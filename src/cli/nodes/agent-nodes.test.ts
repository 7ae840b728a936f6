import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createRawServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Pod } from "../../kube/objects.ts";
import { agentNodes } from "./agent-nodes.ts";
import { findWorkload, nodeNetns } from "./nodes.ts";

const TEXT = `
apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: node1
clusterCIDR: 10.244.0.0/16
serviceCIDR: 10.96.0.0/12
overlay: { type: vxlan, vni: 1, port: 4789 }
uplink: { interface: eth1 }
host: { interface: host0 }
socket: /run/podwire/agent.sock
source: { files: [/etc/podwire/manifests] }
`;
const node = (name: string, podCIDR: string | undefined, address: string) => ({
  metadata: { name },
  spec: podCIDR === undefined ? {} : { podCIDRs: [podCIDR] },
  status: { addresses: [{ type: "InternalIP", address }] },
});
const pod = (name: string, spec: object, netns?: string): Pod => {
  const annotations = netns === undefined ? undefined : { "podwire.dev/netns": netns };
  return {
    metadata: { name, namespace: "default", annotations },
    spec,
    status: { podIP: "10.244.1.2" },
  } as object as Pod;
};
const PODS = [pod("web", { nodeName: "node1" }, "/run/netns/web"), pod("far", { nodeName: "node2" })];

const dir = mkdtempSync(join(tmpdir(), "podwire-agent-nodes-"));
t.teardown(() => rmSync(dir, { recursive: true }));

/** An agent that is only its socket. */
async function agent(t: Test, name: string, text = TEXT): Promise<string> {
  const answers: Record<string, unknown> = {
    "/status": { node: "node1", pid: 4711 },
    "/config": { file: "/etc/podwire/agent.yaml", text },
    "/objects/nodes": {
      items: [node("node1", "10.244.1.0/24", "192.168.77.11"), node("node2", undefined, "192.168.77.12")],
    },
    "/objects/pods": { items: PODS },
  };
  const server = createServer((request, response) => {
    response.end(JSON.stringify(answers[request.url ?? ""] ?? { error: "no such call" }));
  });
  const socket = join(dir, name);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return socket;
}

t.test("an agent whose file names no node says itself which one it is", async (t) => {
  const all = await agentNodes(await agent(t, "unnamed.sock", TEXT.replace("nodeName: node1\n", "")));
  t.equal(all.label, "the agent of node1");
  t.equal((await all.config("node1")).nodeName, "node1");
});

t.test("an agent says who it is, whom it knows, and how it is configured", async (t) => {
  const socket = await agent(t, "a.sock");
  const all = await agentNodes(socket);
  t.equal(all.label, "the agent of node1");
  t.same(all.nodes, [{ name: "node1", kind: "podwire", socket, netns: "/proc/4711/ns/net" }]);
  t.same(all.hosts, [
    { name: "node1", address: "192.168.77.11", vtepAddress: "10.244.1.0" },
    { name: "node2", address: "192.168.77.12", vtepAddress: "" },
  ]);
  t.equal(all.vxlanPort, 4789);
  t.equal((await all.config("node1")).uplink.interface, "eth1");
  await t.rejects(all.config("node2"), {
    exitCode: 2,
    message: /^--node node2: the agent of node1 knows its own node/,
  });
  t.same(await findWorkload(all, "web"), {
    kind: "pod",
    namespace: "default",
    name: "web",
    node: "node1",
    ip: "10.244.1.2",
  });
});

t.test("where its node is, and its pods; what is elsewhere is refused", async (t) => {
  const text = `${TEXT}netns: /run/netns/machine\n`;
  const all = await agentNodes(await agent(t, "b.sock", text));
  t.equal(nodeNetns(all, "node1"), "/run/netns/machine", "where the configuration says");
  t.throws(() => nodeNetns(all, "node2"), {
    message: /^node\/node2: the agent of node1 reaches .* there is node1$/,
  });
  t.equal(all.podNetns(PODS[0]), "/run/netns/web");
  t.equal(all.podNetns(pod("own", { nodeName: "node1", hostNetwork: true })), "/run/netns/machine");
  const refusals: [Pod, RegExp][] = [
    [PODS[1], /^pod default\/far: it is on node2: the agent of node1 reaches pods of its own node only$/],
    [pod("new", {}), /^pod default\/new: it is on no node: /],
    [pod("bare", { nodeName: "node1" }), /^pod default\/bare: .* annotate podwire\.dev\/netns$/],
  ];
  for (const [one, message] of refusals) t.throws(() => all.podNetns(one), { message, exitCode: 1 });
});

t.test("nobody at the socket: what to do", async (t) => {
  await t.rejects(agentNodes(join(dir, "none.sock")), {
    code: "CLI_NOT_RUNNING",
    message: /^no agent answers at .*none/,
  });
});

t.test("who answers and is no agent is told of in one line", async (t) => {
  const strangers: readonly [string, (socket: Socket) => void, RegExp][] = [
    ["other", (socket) => socket.end("220 mail.example ESMTP\r\n"), /is not podwire, or another version/],
    ["html", (socket) => socket.end(page("<html>")), /is not podwire, or another version/],
    ["empty", (socket) => socket.end(page("{}")), /is not podwire, or another version/],
    ["closes", (socket) => socket.destroy(), /the connection was closed without an answer$/],
  ];
  for (const [name, answer, message] of strangers) {
    const socket = join(dir, `${name}.sock`);
    const server = createRawServer((one) => {
      one.on("error", () => {});
      one.once("data", () => answer(one));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    t.teardown(() => server.close());
    const error = await agentNodes(socket).then(
      () => new Error("taken for an agent"),
      (error: Error) => error,
    );
    t.equal(error.name === "CliError" || "exitCode" in error, true, `${name}: ${error.stack}`);
    t.match(error.message, message, name);
    t.notMatch(error.message, /\n|undefined|Unexpected|Parse/, name);
  }
});

function page(body: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
}
