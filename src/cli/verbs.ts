// The commands there are, and which one a command line asks for.
import type { Command } from "commander";

/** The file of a verb: verb-modules.ts knows where it is. */
export interface VerbModule {
  register(program: Command, load: LoadVerb): void;
  /** Where the verb understands spellings that are no words and flags of a command line of ours. */
  rewriteArguments?(args: readonly string[]): string[];
}

export type LoadVerb = (name: string) => Promise<VerbModule>;

export interface Verb {
  name: string;
  summary: string;
  hidden?: boolean;
}

export const VERBS: readonly Verb[] = [
  { name: "lab", summary: "make, remove and look at labs: up, down, status, list" },
  { name: "kubeconfig", summary: "print how kubectl reaches a lab's Kubernetes API" },
  { name: "exec", summary: "run a program in the network of a pod, node or client" },
  { name: "attach", summary: "what a container's program says, and input for it" },
  { name: "apply", summary: "create or change objects from manifests" },
  { name: "create", summary: "create objects from manifests, or one from words" },
  { name: "run", summary: "make a pod of an image" },
  { name: "expose", summary: "make a service of a pod, deployment or service" },
  { name: "edit", summary: "change an object in an editor" },
  { name: "diff", summary: "what applying manifests would change" },
  { name: "delete", summary: "delete objects" },
  { name: "get", summary: "show objects" },
  { name: "describe", summary: "show objects with all their fields" },
  { name: "label", summary: "set labels of objects" },
  { name: "annotate", summary: "set annotations of objects" },
  { name: "wait", summary: "wait until a condition holds of objects" },
  {
    name: "rollout",
    summary: "restart deployments and the like, see how far they are, what they were, and go back",
  },
  { name: "scale", summary: "set how many pods a deployment has" },
  { name: "api-resources", summary: "the kinds that the API serves" },
  { name: "status", summary: "what is here: labs and agent, their health, what to do" },
  { name: "check", summary: "do packets arrive: between pods, nodes, services, DNS and the world" },
  { name: "logs", summary: "what a pod's containers printed" },
  { name: "port-forward", summary: "ports of this machine that lead into a pod" },
  { name: "cp", summary: "copy files into a container, or out of it" },
  { name: "agent", summary: "the data path of one node, in the foreground" },
  { name: "gateway", summary: "Ingresses and Gateways served: the proxy, in the foreground" },
  { name: "mesh", summary: "pods' connections by mutual TLS: a node's proxy, in the foreground" },
  { name: "dns", summary: "the cluster's DNS, from files, a lab or a cluster" },
  { name: "explain", summary: "what would happen to a packet, and why" },
  { name: "trace", summary: "what does happen to real packets, stage by stage" },
  { name: "capture", summary: "packets with what was done to them, as pcapng" },
  {
    name: "replay",
    summary: "a capture through the pipeline, with a verdict per packet",
  },
  {
    name: "conntrack",
    summary: "the connection table: list, count, delete, events",
  },
  { name: "show", summary: "the live tables of a node" },
  { name: "rules", summary: "the rules kube-proxy would have installed, or Calico" },
  {
    name: "policy",
    summary: "who can reach whom by policies, what changes that, what is suspicious",
  },
  { name: "ping", summary: "ICMP probe from a node's own stack" },
  { name: "bench", summary: "the benchmarks, against the kernel and other peers" },
  { name: "install", summary: "manifests that make podwire the network of a cluster, or its gateway" },
  { name: "uninstall", summary: "manifests that take it off the nodes again" },
  { name: "cni", summary: "the CNI plug-in of this machine: install, remove" },
  { name: "completion", summary: "shell completion: bash, zsh, fish" },
  { name: "__complete", summary: "", hidden: true },
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
