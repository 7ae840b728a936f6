// Pods with a bandwidth, by real programs: iperf3 gets what the annotations say, in both directions.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { type Running, run, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { CONFIG, makeNode, objects } from "../support/own-node.ts";

const namespaces = new Namespaces("pwt-bandwidth");
const WEB = "10.244.1.2";
const INGRESS = 20e6;
const EGRESS = 12e6;
const METRICS = "127.0.0.1:10249";
/** A machine that stands still for a while loses tokens: one try of these has to be in order. */
const TRIES = 4;

t.test("pods with a bandwidth", { skip: cannotRun("iperf3", "curl") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-bandwidth-"));
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  makeNode(namespaces);
  const socket = join(folder, "agent.sock");
  const annotated = (annotations: object): string => {
    const items = objects(namespaces);
    for (const { kind, metadata } of items)
      if (kind === "Pod" && (metadata as Named).name === "web")
        Object.assign((metadata as Named).annotations, annotations);
    return JSON.stringify({ apiVersion: "v1", kind: "List", items });
  };
  const file = join(folder, "objects.json");
  await writeFile(
    file,
    annotated({
      "kubernetes.io/ingress-bandwidth": `${INGRESS / 1e6}M`,
      "kubernetes.io/egress-bandwidth": `${EGRESS / 1e6}M`,
    }),
  );
  await writeFile(
    join(folder, "agent.yaml"),
    JSON.stringify({
      ...{ ...CONFIG, socket, netns: namespaces.path("node"), source: { files: [file] } },
      proxy: { metricsBindAddress: METRICS, healthzBindAddress: "" },
    }),
  );
  running.push(await start([PODWIRE, "agent", "--config", join(folder, "agent.yaml")], /data plane running/));
  running.push(await start(namespaces.command("web", "iperf3 -s --forceflush"), /listening/));
  const shows = async (table: string): Promise<Record<string, never>[]> =>
    JSON.parse((await run([PODWIRE, "--agent", socket, "show", table, "-o", "json"])).stdout).items;
  const port = async (): Promise<Record<string, number>> =>
    (await shows("ports")).find(({ pod }) => pod === "default/web") ?? {};
  /** Bits a second that the receiver has counted. */
  const iperf = async (words: string): Promise<number> => {
    const { stdout } = await run(namespaces.command("shell", `iperf3 -c ${WEB} -J ${words}`));
    const { end = {} } = JSON.parse(stdout);
    return (end.sum_received ?? end.sum)?.bits_per_second ?? 0;
  };
  /** What TCP gets: nearly all of the rate but for headers, and never more than rate and burst. */
  const gets = async (t: Test, rate: number, words: string): Promise<void> => {
    const seen: number[] = [];
    for (let i = 0; i < TRIES; i++) {
      seen.push((await iperf(`-t 2 -O 1 ${words}`)) / rate);
      if (seen[i] >= 0.9) break;
    }
    t.ok(Math.max(...seen) >= 0.9, `${seen} of the rate`);
    t.ok(Math.max(...seen) <= 1.1, `${seen} of the rate`);
  };
  await until("the pod's port", async () => (await port()).ingressBandwidth === INGRESS);

  await t.test("TCP gets nine tenths of the rate and more, in both directions", async (t) => {
    await gets(t, INGRESS, "");
    await gets(t, EGRESS, "-R");
    const { txDelayed, rxPauses, egressBandwidth } = await port();
    t.ok(txDelayed > 0, "frames for the pod waited");
    t.ok(rxPauses > 0, "the pod was not read for a while");
    t.equal(egressBandwidth, EGRESS);
  });

  await t.test("what is too much for a pod is lost, and counted by its reason", async (t) => {
    await iperf("-u -b 60M -t 1");
    const drops = await shows("drops");
    t.match(
      drops.filter(({ reason }) => reason === "RATE_LIMITED"),
      [{ packets: Number, description: "Bandwidth limit of the pod exceeded" }],
    );
    const page = await run(namespaces.command("node", `curl -s http://${METRICS}/metrics`));
    t.match(page.stdout, /^podwire_dropped_packets_total\{reason="RATE_LIMITED"\} [1-9]/m);
    t.match(page.stdout, /^podwire_port_transmit_delayed_total\{.*pod="default\/web".*\} [1-9]/m);
    t.match(page.stdout, /^podwire_port_receive_pauses_total\{.*pod="default\/web".*\} [1-9]/m);
  });

  await t.test("annotations that go: as much as there is", async (t) => {
    await writeFile(file, annotated({}));
    await until("no rates", async () => (await port()).ingressBandwidth === undefined);
    t.ok((await iperf("-t 1")) > 2 * INGRESS);
    t.ok((await iperf("-t 1 -R")) > 2 * EGRESS);
  });
});

interface Named {
  readonly name: string;
  readonly annotations: object;
}
