// Rates of containers, judged by the kernel's: the CNI project's plug-in `bandwidth` (tbf on the bridge's port, and on an
// ifb device for the other direction) behind `bridge`. Both networks are asked for the same by cnitool, iperf3 tells what
// comes through: TCP and UDP at the rate, and what passes at once after a pause.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, sleep, start } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { noCluster, PROGRAMS } from "./support/control-plane.ts";
import { RuntimeNode } from "./support/runtime-node.ts";

const namespaces = new Namespaces("pwt-tbf");
const PLUGINS = `${PROGRAMS}:${ROOT}/build/native/linux-${process.arch}`;
/** Bits a second, and bits that may pass at once. */
const CASES = [
  { rate: 20e6, burst: 8e6 },
  { rate: 8e6, burst: 4e6 },
];
/**
 * On a machine that stands still for a while tokens are lost or come late: of the kernel's the middle one counts, of
 * podwire's the one that is nearest to it.
 */
const TRIES = 3;
const TICK_SEC = 0.1;
const BURST_TICKS = 4;

/** What one direction of one network gives: TCP's and UDP's part of the rate, bits that passed at once. */
interface Given {
  readonly tcp: number;
  readonly udp: number;
  readonly burst: number;
}
interface Network {
  readonly name: string;
  /** Namespace whose network is the plug-ins' host. */
  readonly host: string;
}
type Reports = { sum: { bytes: number } }[];

t.test("the kernel as judge of bandwidth", { skip: noCluster("iperf3", "tc") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-tbf-"));
  let node: RuntimeNode | undefined;
  t.teardown(async () => {
    await node?.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  node = await RuntimeNode.start(namespaces, folder);
  namespaces.add("kernel");
  const ipam = { type: "host-local", dataDir: join(folder, "ipam"), ranges: [[{ subnet: "10.99.0.0/16" }]] };
  const bridge = { type: "bridge", bridge: "cni0", isGateway: true, ipam };
  const limits = { type: "bandwidth", capabilities: { bandwidth: true } };
  const kernel = { cniVersion: "1.0.0", name: "kernel", plugins: [bridge, limits] };
  await mkdir(join(folder, "net.d"));
  for (const network of [kernel, node.network])
    await writeFile(join(folder, "net.d", `${network.name}.conflist`), JSON.stringify(network));

  const cnitool = (verb: string, network: Network, pod: string, capabilities: object) =>
    run(
      namespaces.command(network.host, `${PROGRAMS}/cnitool ${verb} ${network.name} ${namespaces.path(pod)}`),
      {
        env: {
          NETCONFPATH: join(folder, "net.d"),
          CNI_PATH: PLUGINS,
          CAP_ARGS: JSON.stringify(capabilities),
        },
      },
    );

  for (const { rate, burst } of CASES)
    await t.test(`${rate / 1e6} Mbit/s, and ${burst / 1e6} Mbit at once`, async (t) => {
      const bandwidth = {
        ...{ ingressRate: rate, ingressBurst: burst },
        ...{ egressRate: rate, egressBurst: burst },
      };
      const seen: Record<string, Record<string, Given[]>> = {};
      for (const network of [
        { name: "kernel", host: "kernel" },
        { name: "podwire", host: "node" },
      ]) {
        const added: string[] = [];
        for (const [pod, asked] of [
          ["limited", { bandwidth }],
          ["free", {}],
        ] as const) {
          namespaces.add(pod);
          const { status, stdout, stderr } = await cnitool("add", network, pod, asked);
          t.equal(status, 0, stdout + stderr);
          added.push(JSON.parse(stdout).ips[0].address.replace(/\/.*/, ""));
        }
        const [limited, free] = added;
        seen[network.name] = {
          in: await given("limited", "free", free, rate),
          out: await given("free", "limited", limited, rate),
        };
        for (const pod of ["limited", "free"]) {
          t.equal((await cnitool("del", network, pod, pod === "limited" ? { bandwidth } : {})).status, 0);
          namespaces.remove(pod);
        }
      }
      for (const direction of ["in", "out"]) compare(t, direction, seen, burst);
    });
});

/** All that the one who receives is told by iperf3: it asks the other one to send. */
async function given(receiver: string, sender: string, address: string, rate: number): Promise<Given[]> {
  const serving: Running = await start(namespaces.command(sender, "iperf3 -s --forceflush"), /listening/);
  const iperf = async (words: string) =>
    JSON.parse((await run(namespaces.command(receiver, `iperf3 -c ${address} -R -J ${words}`))).stdout);
  const all: Given[] = [];
  for (let i = 0; i < TRIES; i++) {
    const tcp = (await iperf("-t 3 -O 1")).end.sum_received.bits_per_second;
    await sleep(500); // until there are tokens again
    const { intervals } = await iperf(`-u -b ${rate * 8} -t 2 -i ${TICK_SEC}`);
    const bits = (intervals as Reports).map(({ sum }) => sum.bytes * 8);
    const later = bits.slice(BURST_TICKS, -1);
    const mean = later.reduce((sum, each) => sum + each, 0) / later.length;
    const first = bits.slice(0, BURST_TICKS).reduce((sum, each) => sum + each, 0);
    all.push({ tcp: tcp / rate, udp: mean / TICK_SEC / rate, burst: first - BURST_TICKS * mean });
    await sleep(500);
  }
  await serving.stop();
  return all;
}

const off = (a: number, b: number): number => Math.abs(a - b);
const choose = (one: (of: keyof Given) => number): Given => ({
  tcp: one("tcp"),
  udp: one("udp"),
  burst: one("burst"),
});

function compare(
  t: Test,
  direction: string,
  seen: Record<string, Record<string, Given[]>>,
  burst: number,
): void {
  const kernel = choose((of) => seen.kernel[direction].map((g) => g[of]).sort((a, b) => a - b)[TRIES >> 1]);
  const podwire = choose((of) =>
    seen.podwire[direction]
      .map((g) => g[of])
      .reduce((a, b) => (off(b, kernel[of]) < off(a, kernel[of]) ? b : a)),
  );
  const text = ({ tcp, udp, burst }: Given): string =>
    `TCP ${tcp.toFixed(3)} and UDP ${udp.toFixed(3)} of the rate, ${(burst / 1e6).toFixed(1)} Mbit at once`;
  t.comment(`${direction}: kernel  ${text(kernel)}`);
  t.comment(`${direction}: podwire ${text(podwire)}`);
  t.ok(Math.abs(podwire.tcp - kernel.tcp) <= 0.05, `${direction}: TCP gets what it gets of the kernel`);
  t.ok(Math.abs(podwire.udp - kernel.udp) <= 0.06, `${direction}: UDP gets what it gets of the kernel`);
  const least = Math.min(kernel.burst, burst) - 0.25 * burst; // the kernel's sender may have stood still
  t.ok(podwire.burst >= least && podwire.burst <= 1.25 * burst, `${direction}: as much passes after a pause`);
}
