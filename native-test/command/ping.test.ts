// podwire ping beside ping(8), over a router whose second link takes less than the first.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import t from "tap";
import { run, until } from "../../src/testing/lab/process.ts";
import { FakeLab } from "../support/fake-lab.ts";
import { Namespaces } from "../support/namespaces.ts";

const hasAddon = existsSync("node_modules/raw-socket/build/Release/raw.node");
const skip =
  process.getuid?.() !== 0
    ? "needs root"
    : !hasAddon
      ? "raw-socket is not built"
      : spawnSync("ping", ["-V"]).error
        ? "ping is not installed"
        : false;

const spaces = new Namespaces("pwt-ping");
const near = { name: "node1", agent: "podwire", netns: spaces.nameOf("near"), address: "10.9.1.1" } as const;
const far = {
  name: "node2",
  agent: "kernel",
  netns: spaces.nameOf("far"),
  address: "10.9.2.1",
  vtepAddress: "10.9.2.1",
} as const;
const lab = new FakeLab("pwt-ping", [near, far]);
t.teardown(() => {
  lab.close();
  spaces.remove();
});

t.before(() => {
  if (skip !== false) return;
  spaces.add("near", "router", "far");
  for (const [index, side] of ["near", "far"].entries()) {
    const net = index + 1;
    spaces.ip("router", `link add r${net} type veth peer name eth0 netns ${spaces.nameOf(side)}`);
    spaces.ip(side, `addr add 10.9.${net}.1/24 dev eth0`);
    spaces.ip(side, `-6 addr add fd00:9:${net}::1/64 dev eth0 nodad`);
    spaces.ip("router", `addr add 10.9.${net}.254/24 dev r${net}`);
    spaces.ip("router", `-6 addr add fd00:9:${net}::fe/64 dev r${net} nodad`);
    spaces.ip("router", `link set r${net} up`);
    spaces.ip(side, "link set eth0 up");
    spaces.ip(side, `route add default via 10.9.${net}.254`);
    spaces.ip(side, `-6 route add default via fd00:9:${net}::fe`);
  }
  spaces.ip("router", "link set r2 mtu 1400");
  spaces.ip("far", "link set eth0 mtu 1400");
  for (const key of ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]) {
    spawnSync("ip", ["netns", "exec", spaces.nameOf("router"), "sysctl", "-qw", `${key}=1`]);
  }
});

t.test("the words are ping's", { skip }, async (t) => {
  const flags = ["-c", "3", "-i", "0.05", "-s", "100"];
  const theirs = await run(["ip", "netns", "exec", spaces.nameOf("near"), "ping", ...flags, "10.9.2.1"]);
  const ours = await lab.run("ping", "node/node2", ...flags);
  t.equal(ours.status, 0, ours.stderr);
  const shape = (text: string): string =>
    text
      .replaceAll(/time=\S+ ms/g, "time=T")
      .replaceAll(/= [\d./]+ ms/g, "= R")
      .replaceAll(/time \d+ms/g, "time T");
  t.equal(
    shape(ours.stdout),
    shape(theirs.stdout)
      .replaceAll("PING 10.9.2.1 ", "PING node/node2 ")
      .replace("--- 10.9.2.1", "--- node/node2"),
  );
});

t.test("IPv6, a VTEP by name, and JSON", { skip }, async (t) => {
  const kernelPing = ["ip", "netns", "exec", spaces.nameOf("near"), "ping", "-c1", "-W1", "fd00:9:2::1"];
  await until("duplicate address detection", async () => (await run(kernelPing)).status === 0);
  const v6 = await lab.run("ping", "fd00:9:2::1", "-c", "1");
  t.equal(v6.status, 0, v6.stderr);
  t.match(v6.stdout, /64 bytes from fd00:9:2::1: icmp_seq=1/);
  const json = await lab.run("ping", "vtep/node2", "-c", "2", "-i", "0.05", "-o", "json");
  t.match(JSON.parse(json.stdout), {
    target: "vtep/node2",
    address: "10.9.2.1",
    transmitted: 2,
    received: 2,
  });
});

t.test("who does not answer is status 3, with the router's words", { skip }, async (t) => {
  const silent = await lab.run("ping", "10.9.1.99", "-c", "1", "-W", "0.3");
  t.equal(silent.status, 3);
  t.match(silent.stdout, /1 packets transmitted, 0 received, 100% packet loss/);
  const dying = await lab.run("ping", "10.9.2.1", "-c", "1", "-t", "1");
  t.equal(dying.status, 3);
  t.match(dying.stdout, /From 10\.9\.1\.254 icmp_seq=1 Time to live exceeded\n/);
});

t.test("the path MTU is found, for both families", { skip }, async (t) => {
  for (const target of ["node/node2", "fd00:9:2::1"]) {
    const result = await lab.run("ping", target, "--mtu", "-W", "0.5");
    t.equal(result.status, 0, result.stderr);
    t.match(result.stdout, /\npath MTU 1400\n$/, result.stdout);
  }
  t.equal((await lab.run("ping", "10.9.1.99", "--mtu", "-W", "0.2")).status, 3);
});

t.test("targets and options that make no sense", { skip }, async (t) => {
  const cases = [
    { words: ["ping", "vtep/node9"], status: 1 },
    { words: ["ping", "node/node9"], status: 1 },
    { words: ["ping", "10.9.2.1", "--from", "node/node9"], status: 1 },
    { words: ["ping", "10.9.2.1", "-c", "x"], status: 2 },
    { words: ["ping", "10.9.2.1", "-s", "70000"], status: 2 },
    { words: ["ping"], status: 2 },
  ];
  for (const c of cases) {
    const { status, stderr } = await lab.run(...c.words);
    t.equal(status, c.status, c.words.join(" "));
    t.match(stderr, /^error: [^\n]+\n$/, stderr.trim());
  }
});
