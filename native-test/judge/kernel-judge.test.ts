// The kernel as judge: random clusters and configurations; kube-proxy's rules for them in a namespace's
// kernel, the same objects in podwire; the same packets to both. Where they arrive, from whom they seem to
// come, how they are refused, and what becomes of connections when the cluster changes must be the same. scripts/kernel-judge runs as many scenarios as one has time
// for.
import t from "tap";
import type { KubeObject, Service } from "../../src/kube/objects.ts";
import { type JudgeOptions, KernelJudge, type Planted } from "../support/kernel-judge.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const FIRST_SEED = 10_001;

const CASES: readonly (JudgeOptions & { scenarios: number })[] = [
  { mode: "iptables", family: 4, variant: "legacy", scenarios: 20 },
  { mode: "iptables", family: 4, variant: "legacy", scenarios: 5, workers: 4 },
  { mode: "iptables", family: 4, variant: "nft", scenarios: 5 },
  { mode: "iptables", family: 6, variant: "legacy", scenarios: 10 },
  { mode: "nftables", family: 4, variant: "nft", scenarios: 10 },
  { mode: "nftables", family: 6, variant: "nft", scenarios: 5 },
];

for (const { scenarios, ...options } of CASES) {
  const { mode, family, variant, workers = 1 } = options;
  const what = `${scenarios} scenarios, ${mode} (${variant}), IPv${family}, workers ${workers}`;
  t.test(`${what}: no difference`, { skip }, async (t) => {
    const judge = new KernelJudge({ ...options, updateEvery: 4, timesEvery: 4 });
    t.teardown(() => judge.close());
    for (let i = 0; i < scenarios; i++) {
      const { differences, packets } = await judge.judge(FIRST_SEED + i);
      t.strictSame(differences, [], `seed ${FIRST_SEED + i}`);
      t.ok(packets > 0);
    }
  });
}

interface PlantedError extends Planted {
  /** Affinity's time-outs take seconds: only who needs them waits. */
  readonly isTimed?: boolean;
  /** Shortly before the first scenario that has what the error is about; FIRST_SEED where left out. */
  readonly first?: number;
}

const PLANTED: Readonly<Record<string, PlantedError>> = {
  "a rule that is missing": { rules: (text) => text.replace(/^-A KUBE-EXT-\S+ .*-j KUBE-MARK-MASQ\n/gm, "") },
  "a refusal of the wrong kind": { rules: (text) => text.replaceAll("-j REJECT", "-j DROP") },
  "an endpoint too few": { rules: (text) => text.replace(/^-A KUBE-SVC-\S+ .*-m statistic .*\n/gm, "") },
  "a host port that nobody serves": { rules: (text) => text.replace(/^-A CNI-DN-\S+ .*-j DNAT .*\n/gm, "") },
  "a host port whose own pods keep their address": {
    rules: (text) => text.replace(/^-A CNI-DN-\S+ -s 1.*-j CNI-HOSTPORT-SETMARK\n/gm, ""),
  },
  "host ports before node ports": {
    first: 10_030,
    rules: (text) => text.replace(/^-A (PREROUTING|OUTPUT) (.*-j CNI-HOSTPORT-DNAT)$/gm, "-I $1 $2"),
  },
  "UDP entries that nobody deletes": { cleanup: false },
  "clients that are remembered for too long": {
    isTimed: true,
    first: 10_017,
    rules: (text) => text.replaceAll("--seconds 1 ", "--seconds 9 "),
  },
  "a policy that podwire does not see": { objects: (objects) => objects.map(withPolicyCluster) },
};

/** Of the seeds tried, those whose scenario has what the error is about must show it. */
const SEEDS = 12;

for (const [error, planted] of Object.entries(PLANTED)) {
  t.test(`a planted error is found: ${error}`, { skip }, async (t) => {
    const timesEvery = planted.isTimed ? 1 : Number.POSITIVE_INFINITY;
    const judge = new KernelJudge({ mode: "iptables", family: 4, variant: "legacy", timesEvery });
    t.teardown(() => judge.close());
    let found = 0;
    const first = planted.first ?? FIRST_SEED;
    for (let i = 0; i < SEEDS && found === 0; i++) {
      found += (await judge.judge(first + i, planted)).differences.length;
    }
    t.ok(found > 0);
  });
}

function withPolicyCluster(object: KubeObject): KubeObject {
  if (object.kind !== "Service") return object;
  const { spec, ...rest } = object as Service;
  return { ...rest, spec: { ...spec, externalTrafficPolicy: "Cluster" } } as Service;
}
