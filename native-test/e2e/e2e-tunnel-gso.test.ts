// TCP superframes that enter the tunnel whole, through a real kernel: to a podwire node and to a kernel one, over IPv4 and
// IPv6, through a card that cannot cut them (the kernel does, and tshark looks at what it made), with the device and its
// filter taken away, the uplink down for a while, the agent killed, and the lever switched off.
import { createHash, randomBytes } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client } from "../../src/testing/lab/objects.ts";
import { run, until } from "../../src/testing/lab/process.ts";
import { podAddress6 } from "../support/ipv6-scenario.ts";
import { checkCapture, nothingWrong } from "../support/tshark.ts";

const skip = cannotRun("socat", "tcpdump", "tshark", "ethtool", "tc");
const PORT = 9200;
const BYTES = 3_000_000;
const MTU = 1500;
const stream = randomBytes(BYTES);
const wanted = createHash("sha256").update(stream).digest("hex");

interface Counter {
  readonly counter: string;
  readonly value: number;
}

async function counterOf(lab: TestLab, name: string, node = "node1"): Promise<number> {
  const { items } = await lab.json("show", "counters", "--node", node);
  return items.find((row: Counter) => row.counter === name).value;
}

const isOn = (lab: TestLab) => async (): Promise<boolean> =>
  (await counterOf(lab, "tunnel_gso_on").catch(() => 0)) === 1;

function inNode(lab: TestLab, command: string, node = "node1"): Promise<{ stdout: string; stderr: string }> {
  return run(["ip", "netns", "exec", `pw-${lab.name}-n-${node}`, ...command.split(" ")]);
}

async function deviceOf(lab: TestLab, node = "node1"): Promise<string> {
  return /pwgso\d+/.exec((await inNode(lab, "ip -br link", node)).stdout)?.[0] ?? "";
}

/** Sends the stream from tx and compares what comes out at `place`; `meanwhile` runs when it has begun. */
async function transfer(t: Test, lab: TestLab, place: string, address: string, meanwhile = async () => {}) {
  const family = address.includes(":") ? 6 : 4;
  const file = join(lab.folder, `got-${place}-${family}-${Math.random()}`);
  const listen = ["socat", "-d", "-d", "-u", `TCP${family}-LISTEN:${PORT},reuseaddr`, `CREATE:${file}`];
  const receiver = await lab.startIn(place, listen, /listening on/);
  const to = `TCP${family}:${family === 6 ? `[${address}]` : address}:${PORT}`;
  const sent = lab.exec("tx", ["socat", "-b65536", "-u", "-", to], { input: stream, timeoutMs: 20_000 });
  await meanwhile();
  await sent;
  await until("all bytes", async () => (await readFile(file)).length >= BYTES, 10_000).catch(() => {});
  await receiver.stop();
  const got = await readFile(file);
  t.equal(got.length, BYTES);
  t.equal(createHash("sha256").update(got).digest("hex"), wanted);
}

async function arrivesWhole(t: Test, lab: TestLab, place: string, address: string): Promise<void> {
  const before = await counterOf(lab, "tunnel_gso");
  await transfer(t, lab, place, address);
  const used = (await counterOf(lab, "tunnel_gso")) - before;
  t.ok(used > BYTES / 65_536 / 2, `${used} superframes stayed whole`);
}

const objects = [client("tx", "node1"), client("rx", "node2"), client("rx-kernel", "node3")];
const nodes = [{ name: "node1" }, { name: "node2" }, { name: "node3", agent: "kernel" as const }];

t.test("superframes into a tunnel over IPv4", { skip }, async (t) => {
  const lab = await TestLab.up("tgso", { clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", nodes, objects });
  t.teardown(() => lab.down());
  await until("tunnel GSO is on", isOn(lab), 5000);
  const v4 = await lab.podAddress("rx");

  for (const place of ["rx", "rx-kernel"]) {
    t.test(`${place}: TCP over both families arrives as it was sent`, async (t) => {
      await arrivesWhole(t, lab, place, await lab.podAddress(place));
      await arrivesWhole(t, lab, place, await podAddress6(lab, place));
    });
  }

  t.test("podwire status tells of it; its device is silent and has no address", async (t) => {
    t.match(await lab.output(["status"]), /node1 +tunnel GSO +yes +on/);
    const device = await deviceOf(lab);
    t.notMatch((await inNode(lab, `ip addr show dev ${device}`)).stdout, /inet/);
    const sent = (await inNode(lab, `cat /sys/class/net/${device}/statistics/tx_packets`)).stdout;
    t.equal(sent.trim(), "0");
    t.notMatch((await inNode(lab, "ip -br link")).stdout, /pwcut/, "the trial's own device is gone");
  });

  t.test("a card that cannot cut: the kernel does, and every packet is right", async (t) => {
    const off = "tx off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off tx-udp-segmentation off";
    await inNode(lab, `ethtool -K eth0 ${off}`);
    const file = join(lab.folder, "uplink.pcap");
    const dump = [
      "tcpdump",
      "-i",
      "eth0",
      "-Q",
      "out",
      "-s0",
      "-B",
      "65536",
      "-U",
      "-Z",
      "root",
      "-w",
      file,
      "udp",
    ];
    const capture = await lab.startIn("node/node1", dump, /listening on/).catch(() => undefined);
    for (const address of [v4, await podAddress6(lab, "rx")]) await arrivesWhole(t, lab, "rx", address);
    if (capture === undefined) throw new Error("no capture");
    // What is in its buffer yet when it is ended is not written any more.
    await until("tcpdump to write", async () => (await stat(file)).size > 2 * BYTES, 5000).catch(() => {});
    await capture.stop("SIGINT");
    const check = await checkCapture(file);
    nothingWrong(t, check);
    t.ok(check.tunnelled > (2 * BYTES) / MTU, `${check.tunnelled} packets in the tunnel`);
    await inNode(lab, `ethtool -K eth0 ${off.replaceAll("off", "on")}`);
  });

  t.test("its device is taken away under way: nothing is lost, and another is made", async (t) => {
    const device = await deviceOf(lab);
    await transfer(t, lab, "rx", v4, async () => void (await inNode(lab, `ip link del ${device}`)));
    await transfer(t, lab, "rx", v4);
    await until("it is on again", isOn(lab), 5000);
    await arrivesWhole(t, lab, "rx", v4);
  });

  t.test("the filter of its device is taken away: it is missed and made again", async (t) => {
    await inNode(lab, `tc filter del dev ${await deviceOf(lab)} ingress`);
    await transfer(t, lab, "rx", v4);
    await until("it is on again", isOn(lab), 15_000);
    await arrivesWhole(t, lab, "rx", v4);
  });

  t.test("the uplink is down for a while", async (t) => {
    await transfer(t, lab, "rx", v4, async () => {
      await inNode(lab, "ip link set eth0 down");
      await new Promise((resolve) => setTimeout(resolve, 300));
      await inNode(lab, "ip link set eth0 up");
    });
    await arrivesWhole(t, lab, "rx", v4);
  });

  t.test("the agent is killed: its device goes with it, and comes with the next one", async (t) => {
    const { pid } = JSON.parse(await readFile(`/run/podwire/labs/${lab.name}/agents/node1.pid`, "utf8"));
    const line = async (): Promise<string> =>
      (await inNode(lab, "ip -br link")).stdout.match(/pwgso.*/)?.[0] ?? "";
    const former = await line(); // with a MAC address by chance
    process.kill(pid, "SIGKILL");
    await until("the device is gone", async () => (await line()) !== former, 3000);
    await until("it is on again", isOn(lab), 10_000);
    await arrivesWhole(t, lab, "rx", v4);
  });
});

t.test("superframes into a tunnel over IPv6", { skip }, async (t) => {
  const clients = [{ name: "outside", address: "fd00:192:168:50::100" }];
  const clusterCIDR = "fd00:10:244::/56";
  const lab = await TestLab.up("tgso6", {
    clusterCIDR,
    serviceCIDR: "fd00:10:96::/112",
    clients,
    nodes,
    objects,
  });
  t.teardown(() => lab.down());
  await until("tunnel GSO is on", isOn(lab), 5000);
  for (const place of ["rx", "rx-kernel"]) await arrivesWhole(t, lab, place, await podAddress6(lab, place));
});

t.test("switched off, they are cut as ever, and nothing is made", { skip }, async (t) => {
  const lab = await TestLab.up("tgso-off", { objects: objects.slice(0, 2), dataplane: { tunnelGso: false } });
  t.teardown(() => lab.down());
  await transfer(t, lab, "rx", await lab.podAddress("rx"));
  t.equal(await deviceOf(lab), "");
  t.equal(await counterOf(lab, "tunnel_gso"), 0);
  t.ok((await counterOf(lab, "gso_segments_out")) > BYTES / MTU);
  t.match(await lab.output(["status"]), /tunnel GSO +yes +off: dataplane.tunnelGso is false/);
});
