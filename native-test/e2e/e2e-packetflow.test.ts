// The published packet-flow cases with real packets: a lab with the case's objects, packets from a pod, the node itself
// and outside, and what the node's trace says became of them. `podwire explain` is asked about the same flows and must
// say the same. Left out are flows that no lab can send: those of the node to itself, which its kernel keeps, those to
// addresses that the node has not, and modes or options of other cases.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import type { TraceRecord } from "../../src/observe/trace-record.ts";
import { tcpFrame } from "../../src/testing/frames/frame-builder.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";

interface Flow {
  name: string;
  sourceIP: string;
  destIP: string;
  destPort: number;
  protocol: string;
  expect: { verdict: string; endpoints: string[]; masquerade: boolean };
}
interface Case {
  name: string;
  modes: string[];
  nodeIP: string;
  nodeName: string;
  localIPs: string[];
  clusterCIDR: string;
  serviceCIDRs: string[];
  options: { detectLocalMode: string; nodePortAddresses: string[] | null };
  namespaces: string[];
  objects: { kind: string }[];
  flows: Flow[];
}

const FILE = join(import.meta.dirname, "../../../src/testing/testdata/packetflow-sample.json");
const SENDER = fileURLToPath(new URL("../support/send-packets-main.js", import.meta.url));
const POD_RANGE = "10.0.0.0/24"; // of the node that is asked; its pods are 10.0.0.2 and 10.0.0.3, as in the cases
const POD_IP = "10.0.0.2";
const DRAWS = 16; // packets of a flow: enough to see both of two endpoints
const FIRST_PORT = 20_000;
const ETHERNET = 14;
const skip = cannotRun("ip");

/** Who sends: a pod, the node's own stack, or somebody outside with any address. */
function senderOf(c: Case, flow: Flow): "client-1" | "node" | "outside" | undefined {
  if (c.localIPs.includes(flow.sourceIP)) return c.localIPs.includes(flow.destIP) ? undefined : "node";
  return flow.sourceIP === POD_IP ? "client-1" : "outside";
}

function canBeSent(c: Case, flow: Flow): boolean {
  const isOther = c.localIPs.includes(flow.destIP) && flow.destIP !== c.nodeIP;
  return senderOf(c, flow) !== undefined && !isOther;
}

async function labOf(c: Case, mode: string, name: string): Promise<TestLab> {
  const namespaces = c.namespaces.map((each) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: each },
  }));
  const pods = ["client-1", "client-2"].map((each) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: each },
    spec: { nodeName: c.nodeName, containers: [{ name: "shell", image: "shell" }] },
  }));
  const { detectLocalMode, nodePortAddresses } = c.options;
  return TestLab.up(name, {
    nodes: [{ name: c.nodeName, address: c.nodeIP, podCIDR: POD_RANGE }],
    clients: [{ name: "outside", address: c.nodeIP.replace(/\d+$/, "100") }],
    clusterCIDR: c.clusterCIDR,
    serviceCIDR: c.serviceCIDRs[0],
    proxy: { mode, clusterCIDR: c.clusterCIDR, detectLocalMode, nodePortAddresses: nodePortAddresses ?? [] },
    objects: [...namespaces, ...c.objects.filter(({ kind }) => kind !== "Node"), ...pods],
  });
}

/** Sends each flow's packets; flow number i has source ports from FIRST_PORT + i * DRAWS. */
async function send(lab: TestLab, c: Case, flows: readonly Flow[]): Promise<void> {
  for (const sender of ["client-1", "node", "outside"] as const) {
    const packets = flows.flatMap((flow, i) => (senderOf(c, flow) === sender ? packetsOf(flow, i) : []));
    if (packets.length === 0) continue;
    const workload =
      sender === "client-1" ? sender : sender === "node" ? `node/${c.nodeName}` : "client/outside";
    if (sender === "outside") {
      for (const to of new Set(packets.map((packet) => packet.to))) {
        if (to !== c.nodeIP) await lab.exec(workload, ["ip", "route", "replace", to, "via", c.nodeIP]);
      }
    }
    const file = join(lab.folder, `${sender}.json`);
    await writeFile(file, JSON.stringify(packets));
    const { status, stderr } = await lab.exec(workload, [process.execPath, SENDER, file]);
    if (status !== 0) throw new Error(`${workload}: ${stderr}`);
  }
}

function packetsOf(flow: Flow, index: number): { to: string; hex: string }[] {
  return Array.from({ length: DRAWS }, (_, draw) => {
    const ends = { src: flow.sourceIP, dst: flow.destIP, dstPort: flow.destPort };
    const frame = tcpFrame({ ...ends, srcPort: FIRST_PORT + index * DRAWS + draw, flags: "S" });
    return { to: flow.destIP, hex: Buffer.from(frame.subarray(ETHERNET)).toString("hex") };
  });
}

/** What the trace says of one packet, in the words of the cases. */
function seen(
  steps: readonly TraceRecord[],
): { verdict: string; endpoint: string; masquerade: boolean } | undefined {
  const step = steps.find(({ stage }) => stage === "choose-backend");
  if (step === undefined) return undefined;
  if (step.verdict === "drop") {
    return {
      verdict: step.icmpError === "port unreachable" ? "reject" : "drop",
      endpoint: "",
      masquerade: false,
    };
  }
  if (!step.translated) return { verdict: "accept", endpoint: "", masquerade: false };
  return {
    verdict: "dnat",
    endpoint: `${step.to.dst}:${step.to.dport}`,
    masquerade: step.masquerade !== undefined,
  };
}

type Explained = Flow["expect"] & { readonly reason?: string };

async function explain(lab: TestLab, c: Case, flows: readonly Flow[]): Promise<Explained[]> {
  const asked = flows.map(({ sourceIP: from, destIP: to, destPort: port, protocol }) => ({
    from,
    to,
    port,
    protocol,
  }));
  const file = join(lab.folder, "flows.jsonl");
  await writeFile(file, asked.map((flow) => `${JSON.stringify(flow)}\n`).join(""));
  const answers = await lab.output(["explain", "--node", c.nodeName, "--flows", file, "-o", "json"]);
  return answers
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Explained);
}

async function runCase(t: Test, c: Case, mode: string, name: string): Promise<void> {
  const lab = await labOf(c, mode, name);
  t.teardown(() => lab.down());
  const flows = c.flows.filter((flow) => canBeSent(c, flow));
  const trace = ["trace", "-o", "json", "--count", String(flows.length * DRAWS), "--node", c.nodeName];
  const filter = `tcp[tcpflags] == tcp-syn and src portrange ${FIRST_PORT}-${FIRST_PORT + flows.length * DRAWS - 1}`;
  const running = lab.podwire([...trace, filter], { timeoutMs: 30_000 });
  await new Promise((resolve) => setTimeout(resolve, 1500)); // the trace has begun
  await send(lab, c, flows);
  const { stdout, stderr } = await running;
  const packets = stdout
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "");
  t.equal(packets.length, flows.length * DRAWS, stderr);
  const byFlow = new Map<number, NonNullable<ReturnType<typeof seen>>[]>();
  for (const line of packets) {
    const { steps } = JSON.parse(line) as { steps: TraceRecord[] };
    const what = seen(steps);
    const index = Math.floor(((steps[0].from.sport ?? 0) - FIRST_PORT) / DRAWS);
    if (what !== undefined) byFlow.set(index, [...(byFlow.get(index) ?? []), what]);
  }
  const explained = await explain(lab, c, flows);
  for (const [i, flow] of flows.entries()) {
    const all = byFlow.get(i) ?? [];
    t.equal(all.length, DRAWS, `${flow.name}: every packet was looked at`);
    const endpoints = [...new Set(all.map(({ endpoint }) => endpoint))].filter((text) => text !== "").sort();
    const [{ verdict, masquerade } = { verdict: "none", masquerade: false }] = all;
    t.same({ verdict, endpoints, masquerade }, flow.expect, flow.name);
    const { verdict: told, endpoints: among, masquerade: masked, reason } = explained[i];
    // A lab of one node has no way to endpoints elsewhere: explain says so, after it was translated. Nor has it one back
    // to those who come from anywhere, so that some of them hear of it, and some do not.
    if (flow.expect.verdict === "dnat" && reason?.startsWith("there is no route to ")) {
      const isMeant = flow.expect.endpoints.some((endpoint) => reason.includes(endpoint));
      t.ok(isMeant, `explain: ${flow.name}: ${reason}`);
      continue;
    }
    t.same({ verdict: told, endpoints: among, masquerade: masked }, flow.expect, `explain: ${flow.name}`);
  }
}

const cases = JSON.parse(readFileSync(FILE, "utf8")) as Case[];
for (const [i, c] of cases.entries()) {
  for (const mode of c.modes) {
    t.test(`${mode}: ${c.name}`, { skip }, async (t) => runCase(t, c, mode, `flow-${i}-${mode}`));
  }
}
