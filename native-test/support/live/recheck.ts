// policy.established: recheck. Streams run; a policy forbids them; when was the last packet sent that still came?
// Held against when the agents' planes began to work with the change, by the one clock of the machine.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { TestLab } from "../../../src/testing/lab/lab.ts";
import { client } from "../../../src/testing/lab/objects.ts";
import { sleep } from "../../../src/testing/lab/process.ts";
import { testPolicy } from "../../../src/testing/world/policy-world.ts";
import { addressesOfPod, LiveLab, type StoredPod } from "./live-lab.ts";
import type { Heard } from "./streamer.ts";

const STREAMER = fileURLToPath(new URL("./streamer.js", import.meta.url));
const PORT = 7000;
const RUNNING_MS = 400; // how long a stream runs before it is forbidden
const AFTER_MS = 400; // and how long one listens then

export interface Cut {
  /** "tcp 10.244.1.2 -> 10.244.2.3" */
  readonly stream: string;
  /** When the last packet was sent that came, after the change was in the plane; negative: before. */
  readonly afterMs: number;
}

const CUT_WITHIN_MS = 5;

export function cutFaults(cuts: readonly Cut[]): string[] {
  return cuts
    .filter(({ afterMs }) => !(afterMs <= CUT_WITHIN_MS))
    .map(
      ({ stream, afterMs }) =>
        `${stream}: a packet passed that was sent ${afterMs.toFixed(2)} ms after the cut`,
    );
}

/** Cuts both streams to a pod of the same node and to one of the other, so many times. */
export async function recheckCuts(labName: string, rounds: number): Promise<Cut[]> {
  const lab = await TestLab.up(labName, {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    policy: { established: "recheck" },
    objects: [client("sender", "node1"), client("near", "node1"), client("far", "node2")],
  });
  try {
    const live = new LiveLab(lab);
    const hearers = await Promise.all(
      ["near", "far"].map(async (name) => hearer(live, await live.pod(name))),
    );
    const cuts: Cut[] = [];
    for (let n = 0; n < rounds; n++) cuts.push(...(await cutOnce(live, hearers, n % 2)));
    for (const { child } of hearers) child.stdin?.end();
    return cuts;
  } finally {
    await lab.down();
  }
}

interface Hearer {
  readonly child: ChildProcess;
  readonly pod: StoredPod;
  last(): Promise<Heard>;
}

async function hearer(live: LiveLab, pod: StoredPod): Promise<Hearer> {
  const child = live.spawn(pod, [process.execPath, STREAMER, "hear", String(PORT)]);
  if (child.stdout === null) throw new Error("no pipe");
  const lines = createInterface({ input: child.stdout });
  await once(lines, "line");
  return {
    child,
    pod,
    last: async () => {
      const line = once(lines, "line");
      child.stdin?.write("last\n");
      return JSON.parse(String((await line)[0])) as Heard;
    },
  };
}

/** Egress of the sender is forbidden in one round, ingress of the others in the next. */
async function cutOnce(live: LiveLab, hearers: readonly Hearer[], turn: number): Promise<Cut[]> {
  const sender = await live.pod("sender");
  const family = turn;
  const senders = hearers.flatMap(({ pod }) =>
    ["tcp", "udp"].map((protocol) =>
      live.spawn(sender, [
        process.execPath,
        STREAMER,
        "send",
        protocol,
        addressesOfPod(pod)[family],
        String(PORT),
      ]),
    ),
  );
  await sleep(RUNNING_MS * 2);
  await Promise.all(hearers.map(({ last }) => last()));
  await sleep(RUNNING_MS);
  const before = await Promise.all(hearers.map(({ last }) => last()));
  const forbid =
    turn === 0
      ? testPolicy("forbid", { podSelector: { matchLabels: { app: "sender" } }, policyTypes: ["Egress"] })
      : testPolicy("forbid", { podSelector: {}, policyTypes: ["Ingress"] });
  await live.apply(forbid);
  const [stored] = await live.objects("networkpolicies");
  const inForceMs = await live.inForce(stored);
  await sleep(AFTER_MS);
  const heard = await Promise.all(hearers.map(({ last }) => last()));
  for (const child of senders) child.stdin?.end();
  await Promise.all(senders.map((child) => (child.exitCode === null ? once(child, "close") : undefined)));
  await live.remove("NetworkPolicy", "forbid");
  await live.inForce();
  const [from] = [addressesOfPod(sender)[family]];
  return hearers.flatMap(({ pod }, i) =>
    (["tcp", "udp"] as const).map((protocol) => {
      const stream = `${protocol} ${from} -> ${addressesOfPod(pod)[family]}`;
      if (before[i][protocol] === 0) throw new Error(`${stream}: nothing came before it was forbidden`);
      // Nothing since `before` was read: the last one came then.
      const lastMs = heard[i][protocol] || before[i][protocol];
      return { stream, afterMs: lastMs - inForceMs };
    }),
  );
}
