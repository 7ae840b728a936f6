// The commands there are, and which one a command line asks for.
export interface Verb {
  name: string;
  summary: string;
  /** Its file, from here and without extension; the verb's name where left out. */
  file?: string;
  hidden?: boolean;
}

export const VERBS: readonly Verb[] = [
  { name: "lab", file: "lab/lab", summary: "make, remove and look at labs: up, down, status, list" },
  { name: "exec", file: "lab/exec", summary: "run a program in the network of a pod, node or client" },
  { name: "apply", file: "objects/apply", summary: "create or change objects from manifests" },
  { name: "create", file: "objects/create", summary: "create objects from manifests" },
  { name: "delete", file: "objects/delete", summary: "delete objects" },
  { name: "get", file: "objects/get", summary: "show objects" },
  { name: "describe", file: "objects/describe", summary: "show objects with all their fields" },
  { name: "label", file: "objects/label", summary: "set labels of objects" },
  { name: "annotate", file: "objects/annotate", summary: "set annotations of objects" },
  { name: "wait", file: "objects/wait", summary: "wait until a condition holds of objects" },
  {
    name: "rollout",
    file: "objects/rollout",
    summary: "restart deployments and the like, and see how far they are",
  },
  { name: "scale", file: "objects/scale", summary: "set how many pods a deployment has" },
  { name: "status", summary: "what is here: labs and agent, their health, what to do" },
  { name: "logs", file: "lab/logs", summary: "what a pod's containers printed" },
  { name: "agent", summary: "the data path of one node, in the foreground" },
  { name: "explain", file: "offline/explain", summary: "what would happen to a packet, and why" },
  { name: "trace", file: "observe/trace", summary: "what does happen to real packets, stage by stage" },
  { name: "capture", file: "observe/capture", summary: "packets with what was done to them, as pcapng" },
  {
    name: "replay",
    file: "offline/replay",
    summary: "a capture through the pipeline, with a verdict per packet",
  },
  {
    name: "conntrack",
    file: "observe/conntrack",
    summary: "the connection table: list, count, delete, events",
  },
  { name: "show", file: "observe/show", summary: "the live tables of a node" },
  { name: "rules", file: "offline/rules", summary: "the rules kube-proxy would have installed, or Calico" },
  {
    name: "policy",
    file: "policy/policy",
    summary: "who can reach whom by policies, what changes that, what is suspicious",
  },
  { name: "ping", file: "observe/ping", summary: "ICMP probe from a node's own stack" },
  { name: "bench", summary: "the benchmarks, against the kernel and other peers" },
  { name: "completion", summary: "shell completion: bash, zsh, fish" },
  { name: "__complete", summary: "", file: "completion", hidden: true },
];

/** Options of the program that take a value: the word after them is no verb. */
const WITH_VALUE = new Set(["-o", "--output", "--lab", "--agent"]);

/** The verb a command line asks for: its first word that is no global flag. */
export function verbOf(args: readonly string[]): string | undefined {
  for (let i = 0; i < args.length; i++) {
    if (WITH_VALUE.has(args[i])) i++;
    else if (!args[i].startsWith("-")) return args[i];
  }
  return undefined;
}

/** Where the module of a verb is, from here and without extension. */
export function fileOf(verb: string): string {
  return VERBS.find(({ name }) => name === verb)?.file ?? verb;
}
