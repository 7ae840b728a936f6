// What an agent asks of the scheduler, judged by what the kernel says of its thread and of its idle cores.
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { availableParallelism, getPriority } from "node:os";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";

const DEVICE = "/dev/cpu_dma_latency";
const skip = cannotRun("ping", "ip", "iperf3") || (existsSync(DEVICE) ? false : `no ${DEVICE}`);
/** What a lab's processes inherit: of a shell that was niced, too. */
const NICE = getPriority();
const ASKED_US = 3000; // more than the machine's own default would be in a guest, so that nobody polls for this test

async function agentPid(lab: TestLab): Promise<number> {
  const { nodes } = await lab.json("lab", "status");
  return nodes[0].pid;
}

function niceValues(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]); // man 5 proc_pid_stat: (19) nice
  });
}

const asks = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === DEVICE;
    } catch {
      return false; // closed meanwhile
    }
  });

/** 2000 echo requests a second for three seconds. */
const flood = ["ping", "-q", "-i", "0.0005", "-w", "3"];

async function pauses(lab: TestLab): Promise<number> {
  const { items } = await lab.json("show", "counters", "--node", "node1");
  return items.find((row: { counter: string }) => row.counter === "pauses")?.value ?? 0;
}

/** Datagrams from pod a to pod b for two seconds, 17,000 a second, while no more than two cores are idle. */
async function stream(lab: TestLab): Promise<void> {
  for (let i = availableParallelism(); i > 2; i--)
    await lab.startIn("a", ["sh", "-c", "echo busy; while :; do :; done"], /busy/);
  await lab.startIn("b", ["iperf3", "-s", "-1", "--forceflush"], /listening/);
  const send = ["iperf3", "-c", await lab.podAddress("b"), "-u", "-b", "200M", "-t", "2"];
  const { status, stdout, stderr } = await lab.exec("a", send);
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
}

t.test("an agent that may", { skip }, async (t) => {
  const dataplane = { cpuLatencyMicroseconds: ASKED_US };
  const objects = [client("a", "node1"), client("b", "node1")];
  const lab = await TestLab.up("sched", { nodes: [{ name: "node1" }], dataplane, objects });
  t.teardown(() => lab.down());
  const pid = await agentPid(lab);
  t.test("puts its data-plane thread first, and no other", async (t) => {
    await until("a thread of nice -20", async () => niceValues(pid).includes(-20));
    t.equal(niceValues(pid).filter((nice) => nice !== NICE).length, 1);
    const autogroup = `/proc/${pid}/autogroup`; // not in every kernel
    if (existsSync(autogroup)) t.match(readFileSync(autogroup, "utf8"), /nice -20/);
  });
  t.test("asks that idle cores wake soon, while there is load", async (t) => {
    t.notOk(asks(pid), "an idle node asks for nothing");
    const load = lab.exec("a", [...flood, await lab.podAddress("b")]);
    await until("the request", async () => asks(pid));
    const limitUs = readFileSync(DEVICE).readInt32LE(0);
    t.ok(limitUs <= ASKED_US, `the kernel works with ${limitUs} µs`);
    t.equal((await load).status, 0);
    await until("its end", async () => !asks(pid));
  });
  t.test("sleeps after turns of what nobody answers, and of nothing else", async (t) => {
    const address = await lab.podAddress("b");
    const before = await pauses(lab);
    t.equal((await lab.exec("a", [...flood, address])).status, 0);
    t.equal(await pauses(lab), before, "echo requests are answered");
    await stream(lab);
    await until("sleeps", async () => (await pauses(lab)) > before + 10);
  });
});

t.test("an agent that is told not to", { skip }, async (t) => {
  const dataplane = { cpuLatencyMicroseconds: -1, nice: 0, pauseMicroseconds: 0 };
  const objects = [client("a", "node1"), client("b", "node1")];
  const lab = await TestLab.up("sched", { nodes: [{ name: "node1" }], dataplane, objects });
  t.teardown(() => lab.down());
  const pid = await agentPid(lab);
  const load = lab.exec("a", [...flood, await lab.podAddress("b")]);
  let seen = false;
  const watching = setInterval(() => {
    seen ||= asks(pid) || niceValues(pid).some((nice) => nice !== NICE);
  }, 50);
  t.equal((await load).status, 0);
  clearInterval(watching);
  t.notOk(seen);
  await stream(lab);
  t.equal(await pauses(lab), 0);
});
