// Two machines with one NIC each, which their kernels keep: agents come, are killed, come again, go and are cleaned up
// after, while a session of the machine's own goes on over the same NIC; and everything that pods, services and the
// node's programs have to reach is reached meanwhile.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { run, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import * as machine from "../support/shared-machine.ts";
import { nodeIp, podIp, WORLD } from "../support/shared-machine.ts";

const HEARTBEAT = fileURLToPath(new URL("../support/heartbeat-main.js", import.meta.url));
const STALL_MS = 1000;
/** One that the agent reserves, in use before it comes. */
const RESERVED_PORT = 51_000;
const namespaces = new Namespaces("pwt-nic");

const inside = (name: string, ...words: string[]): string[] => [
  ...["ip", "netns", "exec", namespaces.nameOf(name)],
  ...words,
];

const get = (from: string, url: string): Promise<string> => machine.get(namespaces, from, url);

t.test("one NIC", { skip: cannotRun("socat", "curl", "nft", "tc") }, async (t) => {
  const { folder, running, agent } = await machine.setUp(t, namespaces);
  const echo = ["socat", "TCP-LISTEN:22,fork,reuseaddr", "PIPE"];
  for (const name of ["n1", "out"])
    running.push(await start(inside(name, "sh", "-c", `echo on; exec ${echo.join(" ")}`), /on/));
  // As some distributions have it, and would drop what the node sends to itself by way of a service.
  const strict = ["all", "default", "eth0"].map((name) => `net.ipv4.conf.${name}.rp_filter=1`);
  await run(inside("n1", "sysctl", "-qw", ...strict));
  const snapshot = () => machine.snapshot(namespaces, "n1");
  const before = await snapshot();
  const beat = (from: string, ...words: string[]) =>
    start(inside(from, process.execPath, HEARTBEAT, ...words), /up/);
  const sessions = [
    await beat("out", nodeIp(1), "22"),
    await beat("n1", "192.168.77.1", "22", `${RESERVED_PORT}`),
  ];
  running.push(...sessions);

  let first = await agent(1);
  await agent(2);
  t.match(first.output(), /uplink eth0, shared with the kernel, which keeps 192\.168\.77\.11, fd00:77::11/);
  const ways: [what: string, from: string, url: string, answer: string][] = [
    ["pod to pod through the tunnel", "a", `http://${podIp(2)}:8080/`, `pod b saw ${podIp(1)}`],
    ["pod to pod, IPv6", "a", `http://[${podIp(2, 6)}]:8080/`, `pod b saw ${podIp(1, 6)}`],
    ["pod to a service's remote endpoint", "a", "http://10.96.0.82:82/", `pod b saw ${podIp(1)}`],
    ["the same, IPv6", "a", "http://[fd00:10:96::82]:82/", `pod b saw ${podIp(1, 6)}`],
    ["node port, from outside", "out", `http://${nodeIp(1)}:30081/`, "pod a saw 10.244.1.1"],
    ["node port, remote endpoint", "out", `http://${nodeIp(1)}:30082/`, "pod b saw 10.244.1.0"],
    ["node port, IPv6", "out", `http://[${nodeIp(1, 6)}]:30082/`, "pod b saw fd00:10:244:1::"],
    ["external address, the node's own", "out", `http://${nodeIp(1)}:82/`, "pod b saw 10.244.1.0"],
    ["node port, program of the node", "out", `http://${nodeIp(1)}:30083/`, "pod n1 saw 169.254.1.1"],
    ["a program of the node, directly", "out", `http://${nodeIp(1)}:2280/`, "pod n1 saw 192.168.77.1"],
    ["pod to the world", "a", `http://${WORLD[4]}:8080/`, `pod out saw ${nodeIp(1)}`],
    ["pod to the world, IPv6", "a", `http://[${WORLD[6]}]:8080/`, `pod out saw ${nodeIp(1, 6)}`],
    ["node to its pod", "n1", `http://${podIp(1)}:8080/`, "pod a saw 10.244.1.1"],
    ["node to another's pod", "n1", `http://${podIp(2)}:8080/`, "pod b saw 10.244.1.0"],
    ["node to another's pod, IPv6", "n1", `http://[${podIp(2, 6)}]:8080/`, "pod b saw fd00:10:244:1::"],
    ["node to a service", "n1", "http://10.96.0.82:82/", "pod b saw 10.244.1.0"],
    ["node to its own program by a service", "n1", "http://10.96.0.83:83/", "pod n1 saw 169.254.1.1"],
    ["node to another's program by a service", "n2", "http://10.96.0.83:83/", `pod n1 saw ${nodeIp(2)}`],
    ["node to a node port of its own", "n1", `http://${nodeIp(1)}:30082/`, "pod b saw 10.244.1.0"],
    ["node to an external address", "n1", "http://203.0.113.82:82/", "pod b saw 10.244.1.0"],
    ["node to the world", "n1", `http://${WORLD[4]}:8080/`, `pod out saw ${nodeIp(1)}`],
    ["pod to its node", "a", `http://${nodeIp(1)}:2280/`, `pod n1 saw ${podIp(1)}`],
    ["pod to another node", "b", `http://${nodeIp(1)}:2280/`, `pod n1 saw ${nodeIp(2)}`],
    ["pod to its node, by a service", "a", "http://10.96.0.83:83/", `pod n1 saw ${podIp(1)}`],
  ];
  const everything = async (t: Test): Promise<void> => {
    const answers = await Promise.all(ways.map(([, from, url]) => get(from, url)));
    for (const [i, [what, , , answer]] of ways.entries()) t.equal(answers[i], answer, what);
  };
  /** A second gateway, which nobody answers for but the machine's own entry; another address. */
  const follows = async (t: Test): Promise<void> => {
    const podwire = async (...words: string[]) =>
      (await run([PODWIRE, "--agent", join(folder, "n1.sock"), ...words])).stdout;
    t.match(await podwire("status"), /^n1 +uplink +yes +eth0 is up, shared with the kernel$/m);
    const mac = /link\/ether (\S+)/.exec(namespaces.ip("out", "link show eth0"))?.[1];
    const world = async () => (await get("a", `http://${WORLD[4]}:8080/`)) === `pod out saw ${nodeIp(1)}`;
    namespaces.ip("n1", `neigh replace 192.168.77.9 lladdr ${mac} dev eth0 nud permanent`);
    namespaces.ip("n1", "route replace default via 192.168.77.9");
    await until("the route", async () => (await podwire("show", "routes")).includes("192.168.77.9"));
    t.ok(await world(), "by a neighbour that the kernel alone knows");
    namespaces.ip("n1", "route replace default via 192.168.77.1");
    namespaces.ip("n1", "neigh del 192.168.77.9 dev eth0");
    namespaces.ip("n1", "addr add 192.168.77.99/24 dev eth0");
    const isServed = async () => (await get("out", "http://192.168.77.99:30081/")).startsWith("pod a");
    await until("node ports at the address", isServed);
    namespaces.ip("n1", "addr del 192.168.77.99/24 dev eth0");
    await until("the old route", world);
  };
  const isReached = async () => (await get("a", `http://${podIp(2)}:8080/`)).startsWith("pod b");
  await until("the first answer", isReached);
  await t.test("everything is reached", everything);
  await t.test("what the machine changes is followed", follows);
  await first.stop("SIGKILL");
  t.equal((await snapshot()).nftables, "", "nothing drops any more");
  const config = JSON.parse(await readFile(join(folder, "n1.yaml"), "utf8"));
  const uplink = { ...config.uplink, masqueradePorts: "60000-65534" };
  await writeFile(join(folder, "n1.yaml"), JSON.stringify({ ...config, uplink }));
  first = await agent(1);
  const reserved = await run(inside("n1", "sysctl", "-n", "net.ipv4.ip_local_reserved_ports"));
  t.equal(reserved.stdout.trim(), "60000-65534", "of the ports of before, those alone that are still wanted");
  await until("an answer", isReached);
  await t.test("everything again", everything);
  await first.stop();
  console.log(await machine.cleanUp(namespaces, folder, 1));
  t.strictSame(await snapshot(), before, "the machine is as it was");
  for (const session of sessions) {
    await session.stop("SIGTERM");
    const { why, longestMs } = JSON.parse(session.output().split("\n").at(-2) ?? "");
    t.equal(why, "told");
    t.ok(longestMs < STALL_MS, `no longer wait than ${longestMs} ms`);
    console.log(`longest wait of the session ${longestMs} ms`);
  }
});
