// What an agent says of its Node: beside what others say there, again when the Node is another, and never in a loop.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { refuse, StandIn } from "../../testing/api-server/stand-in.ts";
import type { NodeReport } from "../source.ts";
import { ApiSource } from "./api-source.ts";
import { ApiConnection } from "./connection.ts";
import { NodeWriter } from "./node-writer.ts";

const READY = { type: "Ready", status: "True", reason: "KubeletReady" };
const node = () => ({
  ...{ apiVersion: "v1", kind: "Node" },
  metadata: { name: "node1", annotations: { "example.org/rack": "7" } },
  spec: { podCIDR: "10.244.1.0/24", podCIDRs: ["10.244.1.0/24"] },
  status: { addresses: [], conditions: [READY] },
});
const UP: NodeReport = {
  annotations: { "podwire.dev/version": "1" },
  condition: { status: "False", reason: "PodwireIsUp", message: "Podwire is running on this node" },
};
const DOWN: NodeReport = {
  annotations: { "podwire.dev/version": "1" },
  condition: { status: "True", reason: "PodwireIsDown", message: "" },
};
const until = async (what: () => boolean): Promise<boolean> => {
  for (let i = 0; i < 400 && !what(); i++) await sleep(5);
  return what();
};
type Stored = ReturnType<typeof node> & { status: { conditions: Record<string, string>[] } };

t.test("condition and annotations stand beside what others say", async (t) => {
  const api = new StandIn();
  api.put(node());
  api.put({ ...node(), metadata: { name: "node2" } });
  const url = new URL(`http://127.0.0.1:${await api.listen()}`);
  const access = { servers: [url], insecure: false, headers: {} };
  const source = new ApiSource({ access, nodeName: "node1", stateFile: "" });
  const stored = (name = "node1"): Stored => api.get("/api/v1/nodes", `/${name}`) as Stored;
  const words = (name?: string): string[] =>
    stored(name).status.conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
  const patches = (): number =>
    api.requests.filter(({ path }) => path === "/api/v1/nodes/node1/status").length;
  source.report(UP);
  source.start({ events: () => {}, problem: () => {} });
  t.ok(await until(() => words().length === 2));
  t.same(words(), ["Ready=True KubeletReady", "NetworkUnavailable=False PodwireIsUp"]);
  t.same(stored().metadata.annotations, { "example.org/rack": "7", "podwire.dev/version": "1" });
  t.match(stored().status.conditions[1], {
    message: "Podwire is running on this node",
    lastHeartbeatTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
    lastTransitionTime: /Z$/,
  });
  const without = { ...UP, annotations: { ...UP.annotations, "example.org/none": null } };
  source.report(without);
  await sleep(30);
  t.equal(patches(), 1, "what is there is not written again");
  api.delete(node());
  api.put(node());
  t.ok(await until(() => words().length === 2), "a Node that was made anew");
  source.report({ ...DOWN, annotations: { ...DOWN.annotations, "example.org/rack": null } });
  await source.reported(2000);
  t.same(
    stored().metadata.annotations,
    { "podwire.dev/version": "1" },
    "what must not be there is taken away",
  );
  t.same(words(), ["Ready=True KubeletReady", "NetworkUnavailable=True PodwireIsDown"]);
  t.same([patches(), words("node2")], [3, ["Ready=True KubeletReady"]], "nobody else's Node is touched");
  t.ok(Math.abs(source.health.aheadSeconds ?? 99) < 5, "the server's clock is ours");
  api.fault = (_, response) => {
    response.setHeader("date", new Date(Date.now() + 3_600_000).toUTCString());
    return false;
  };
  api.cut();
  t.ok(await until(() => (source.health.aheadSeconds ?? 0) > 3590), "an hour ahead");
  source.close();
  await api.close();
});

t.test("what is refused is said once, and tried again; so is what another takes away", async (t) => {
  const api = new StandIn();
  const put = (): Stored => api.put(node()) as unknown as Stored;
  put();
  const connection = new ApiConnection({
    servers: [new URL(`http://127.0.0.1:${await api.listen()}`)],
    ...{ insecure: false, headers: {} },
  });
  const refusals: string[] = [];
  const onRefused = (why: string): void => void refusals.push(why);
  const writer = new NodeWriter({ connection, nodeName: "node1", onRefused, againMs: 20, refusedMs: 60 });
  t.teardown(async () => {
    writer.close();
    connection.close();
    await api.close();
  });
  let [forbidden, busy] = [2, 1];
  api.fault = (_, response) => {
    if (busy-- > 0) refuse(response, 429, "busy");
    else if (forbidden-- > 0) refuse(response, 403, "nodes is forbidden");
    else return false;
    return true;
  };
  const stored = (): Stored => api.get("/api/v1/nodes", "/node1") as Stored;
  writer.want(UP);
  t.equal(api.requests.length, 0, "nothing before the Node is seen");
  const beganMs = performance.now();
  writer.seen(stored());
  t.ok(await until(() => writer.problem !== ""));
  await writer.written(1000);
  t.ok(await until(() => writer.problem === ""));
  t.equal(stored().status.conditions.length, 2);
  t.same(refusals, ["nodes is forbidden"]);
  t.ok(performance.now() - beganMs >= 20 + 2 * 60 - 5, "not sooner than it may");
  const before = api.requests.length;
  writer.seen(put());
  writer.seen(put());
  t.ok(await until(() => stored().status.conditions.length === 2), "somebody took it away");
  t.equal(api.requests.length, before + 1);
});

t.test("what another writes is not undone before what is wanted could follow it", async (t) => {
  const api = new StandIn();
  api.put(node());
  const connection = new ApiConnection({
    servers: [new URL(`http://127.0.0.1:${await api.listen()}`)],
    ...{ insecure: false, headers: {} },
  });
  const [nodeName, againMs, KEY] = ["node1", 100, "flannel.alpha.coreos.com/backend-data"];
  const writer = new NodeWriter({ connection, nodeName, onRefused: t.fail, againMs });
  t.teardown(async () => {
    writer.close();
    connection.close();
    await api.close();
  });
  const stored = (): Stored => api.get("/api/v1/nodes", "/node1") as Stored;
  const saying = (data: string): NodeReport => ({ ...UP, annotations: { [KEY]: data } });
  const write = (data: string): Stored => {
    const { metadata, ...rest } = stored();
    const annotations = { ...metadata.annotations, [KEY]: data };
    return api.put({ ...rest, metadata: { ...metadata, annotations } }) as unknown as Stored;
  };
  const read = (): string => (stored().metadata.annotations as Record<string, string>)[KEY];
  writer.want(saying("old"));
  writer.seen(stored());
  await writer.written(1000);
  await sleep(2 * againMs); // long since
  const before = api.requests.length;
  writer.seen(write("new"));
  await sleep(againMs / 4);
  writer.want(saying("new"));
  await sleep(2 * againMs);
  t.same([api.requests.length - before, read()], [0, "new"], "nothing was written");
  const sinceMs = performance.now();
  writer.seen(write("of nobody"));
  t.ok(await until(() => read() === "new"), "what is not followed is written again");
  t.ok(performance.now() - sinceMs >= againMs - 5, "after a while");
});
