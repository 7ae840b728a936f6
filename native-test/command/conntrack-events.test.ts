// podwire conntrack events on the command line: an agent that answers what the test wants, beside a kernel node whose
// events conntrack(8) tells.
import { spawnSync } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import t from "tap";
import type { ConntrackEvent } from "../../src/observe/conntrack-entry.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { type Running, until } from "../../src/testing/lab/process.ts";
import { FakeLab } from "../support/fake-lab.ts";
import { Namespaces } from "../support/namespaces.ts";

const EVENT: ConntrackEvent = {
  type: "NEW",
  timeMs: 1_795_180_979_099,
  family: "ipv4",
  proto: 132,
  state: "CLOSED",
  timeoutSec: 10,
  orig: { src: "10.244.1.2", dst: "10.96.0.1", sport: 5, dport: 6, packets: 1, bytes: 52 },
  reply: { src: "10.244.2.2", dst: "10.244.1.2", sport: 6, dport: 5, packets: 0, bytes: 0 },
  status: ["CONFIRMED", "DST_NAT"],
  mark: 0,
  id: 7,
};
const LINE =
  "    [NEW] sctp     132 10 CLOSED src=10.244.1.2 dst=10.96.0.1 sport=5 dport=6 [UNREPLIED] " +
  "src=10.244.2.2 dst=10.244.1.2 sport=6 dport=5";

const asked: URL[] = [];

function agent(request: IncomingMessage, response: ServerResponse): void {
  asked.push(new URL(request.url ?? "/", "http://agent"));
  response.write(`${JSON.stringify(EVENT)}\n${JSON.stringify({ node: "node1", lost: 12 })}\n`);
}

const skip = cannotRun("conntrack", "iptables");
t.test("events of an agent and of a kernel node", { skip }, async (t) => {
  const namespaces = new Namespaces("pwt-ctev");
  namespaces.add("k");
  const inside = (words: string) => {
    const [program, ...args] = namespaces.command("k", words);
    return spawnSync(program, args, { encoding: "utf8" });
  };
  inside("iptables -A INPUT -m conntrack --ctstate NEW -j ACCEPT");
  const lab = new FakeLab("ctev", [
    { name: "node1", agent: "podwire" },
    { name: "node2", agent: "kernel", netns: namespaces.nameOf("k") },
  ]);
  await lab.agent("node1", agent);
  const running: Running[] = [];
  t.teardown(async () => {
    for (const one of running) await one.stop();
    lab.close();
    namespaces.remove();
  });

  t.test("one agent: its lines, what was lost, and the end after -c", async (t) => {
    const result = await lab.run(
      "conntrack",
      "events",
      "--node",
      "node1",
      "-c",
      "1",
      "-e",
      "new,updates",
      "-p",
      "sctp",
    );
    t.equal(result.stdout, `${LINE}\n`);
    t.match(result.stderr, "1 flow events have been shown");
    t.equal(result.status, 0);
    t.same([...(asked.at(-1)?.searchParams ?? [])].sort(), [
      ["proto", "sctp"],
      ["types", "NEW,UPDATE"],
    ]);
    const json = await lab.run("conntrack", "events", "--node", "node1", "-c", "1", "-o", "json");
    t.same(JSON.parse(json.stdout), { ...EVENT, node: "node1" });
    const stamped = await lab.run("conntrack", "events", "--node", "node1", "-c", "1", "-o", "timestamp,id");
    t.equal(stamped.stdout, `[1795180979.099000]\t${LINE} id=7\n`);
  });

  t.test("both nodes: each line says whose, until Ctrl-C", async (t) => {
    const watching = await lab.start(/waiting for events of node1, node2/, "conntrack", "events");
    running.push(watching);
    await until("the agent's", async () => watching.output().includes(`${LINE} node=node1`));
    t.match(watching.output(), "12 events of node1 were lost");
    // conntrack(8) does not say when it listens.
    await until("the kernel's", async () => {
      inside("ping -c1 -W1 127.0.0.1");
      return / {4}\[NEW\] icmp {5}1 30 src=127\.0\.0\.1 .* node=node2/.test(watching.output());
    });
    await watching.stop("SIGINT");
    t.match(watching.output(), /\d+ flow events have been shown/);
  });

  t.test("what cannot be is said before anybody is asked", async (t) => {
    const before = asked.length;
    for (const [words, said] of [
      [["-e", "OLD"], "-e OLD: use one or more of NEW, UPDATES, DESTROY, ALL"],
      [["-c", "0"], "-c 0: use a number above 0"],
      [["-s", "nobody"], '"nobody" is neither an IP address nor a network'],
    ] as const) {
      const result = await lab.run("conntrack", "events", ...words);
      t.equal(result.status, 2);
      t.match(result.stderr, said);
    }
    t.equal(asked.length, before);
  });
});
