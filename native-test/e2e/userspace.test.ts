// Mode userspace with real programs: an endpoint that refuses and one that swallows everything cost a client time, never
// a connection; who serves at last sees the node; and podwire tells each attempt.
import { once } from "node:events";
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, HTTP_PORT, pod, service, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { start } from "../../src/testing/lab/process.ts";
import { ask } from "../support/service-scenario.ts";

const CONNECTIONS = 100;
const skip = cannotRun("curl", "socat", "iptables");
const hole = (what: string) =>
  ["iptables", what, "INPUT", "-p", "tcp", "--dport", String(HTTP_PORT), "-j", "DROP"] as const;
/** A pod of the Service in which nobody listens. */
const refusing = { ...client("refusing", "node2"), metadata: { name: "refusing", labels: { app: "web" } } };

/** One connection after the other; ends with the first that fails. */
async function askAll(lab: TestLab, url: string): Promise<{ pod: string; client: string }[]> {
  const curl = ["curl", "-sS", "--fail", "--fail-early", "--max-time", "10", "-H", "Connection: close"];
  const { stderr, stdout } = await lab.exec("client-1", [...curl, `${url}/?n=[1-${CONNECTIONS}]`]);
  if (stderr !== "") throw new Error(stderr);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

t.test("userspace mode asks the next endpoint when one fails", { skip }, async (t) => {
  const objects = [
    client("client-1", "node1"),
    pod("swallowing", "node1", { app: "web" }),
    pod("serving", "node2", { app: "web" }),
    refusing,
    service("web"),
  ];
  const lab = await TestLab.up("usr", { proxy: { mode: "userspace" }, objects });
  t.teardown(() => lab.down());
  t.equal((await lab.exec("swallowing", hole("-I"))).status, 0);
  const vip = await lab.clusterIP("web");
  const url = `http://${vip}`;
  const args = ["trace", "--from", "client-1", "--to", "svc/web", "-c", "60"];
  const tracing = await start([PODWIRE, "--lab", lab.name, ...args], /waiting for packets/);
  t.teardown(() => tracing.stop());
  const traced = once(tracing.child, "close");
  const asking = askAll(lab, url); // goes on while the next two tests run
  asking.catch(() => tracing.stop()); // the test that waits for it will say so

  t.test("a datagram that is refused is answered by another endpoint", async (t) => {
    for (let i = 0; i < 4; i++) {
      const socat = ["socat", "-t1", "-", `UDP4:${vip}:${UDP_PORT}`];
      const { stdout } = await lab.exec("client-1", socat, { input: "who" });
      t.match(stdout, /"pod":"(?:serving|swallowing)"/);
    }
  });

  t.test("it says so: /proxyMode and explain", async (t) => {
    const asked = await lab.exec("node/node1", ["curl", "-sS", "http://127.0.0.1:10249/proxyMode"]);
    t.equal(asked.stdout, "userspace");
    const story = await lab.output(["explain", "--from", "pod/client-1", "--to", "svc/web:http"]);
    t.match(story, /KUBE-PORTALS-CONTAINER/);
    t.match(story, /dials 10\.244\.[\d.]+:8080, one of 3, in turn; up to four attempts/);
  });

  t.test("one refuses, one swallows: 100 connections in a row all succeed", async (t) => {
    const answers = await asking;
    await traced; // 60 packets are fewer than were sent
    t.same([answers.length, new Set(answers.map((a) => a.pod)).size], [CONNECTIONS, 1]);
    t.ok(
      answers.every((a) => a.pod === "serving" && a.client.startsWith("10.244.1.0:")),
      "the node asked",
    );
    const { items } = await lab.json("show", "counters", "--node", "node1");
    const retried = items.find((row: { counter?: string }) => row.counter === "connection_retried");
    t.ok(retried.value >= CONNECTIONS, `every connection met one of them at least: ${retried.value}`);
    const at = async (name: string): Promise<string> => `${await lab.podAddress(name)}:${HTTP_PORT}`;
    const story = tracing.output();
    t.match(story, `retry-connection proxy dial: ${await at("refusing")} refused, attempt `);
    t.match(story, `retry-connection proxy dial: ${await at("swallowing")} did not answer in time, attempt `);
    t.match(story, `DNAT ${vip}:80 → ${await at("serving")}`);
  });

  t.test("endpoints that all serve take turns", async (t) => {
    t.equal((await lab.exec("swallowing", hole("-D"))).status, 0);
    await lab.output(["delete", "pod", "refusing"]);
    const pods = (await ask(lab, "client-1", url, 20)).map((a) => a.pod);
    t.ok(
      pods.every((name, i) => i === 0 || name !== pods[i - 1]),
      pods.join(" "),
    );
  });

  t.test("when nobody serves, the client is refused at once", async (t) => {
    const refused = async (): Promise<boolean> => {
      const begin = Date.now();
      const { status } = await lab.exec("client-1", ["curl", "-sS", "--max-time", "5", url]);
      return status === 7 && Date.now() - begin < 2500;
    };
    await lab.apply(refusing);
    await lab.output(["delete", "pod", "serving", "swallowing"]);
    t.ok(await refused(), "four refusals");
    await lab.output(["delete", "pod", "refusing"]);
    t.ok(await refused(), "no endpoints");
  });
});
