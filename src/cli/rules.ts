// podwire rules: the rule set that kube-proxy would have installed for the same objects, in the words of the tool that
// would load it.
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type Cidr, type Ip, type IpFamily, nthIp, parseCidr, parseIp } from "../base/ip.ts";
import { defaultProxyConfig, type ProxyConfig } from "../control/config/proxy.ts";
import { readProxyFile } from "../control/config/read-config.ts";
import { parseManifests } from "../control/manifest/manifest.ts";
import type { KubeObject, Node, Service } from "../control/objects.ts";
import { nodeAddresses } from "../rules/proxy-view.ts";
import { formatOf, RULE_FORMATS, type RuleFormat, renderRules } from "../rules/rules.ts";
import { type Globals, globals, print, printData } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { collect, type ManifestText, readAll } from "./manifests.ts";
import { offlineCluster } from "./offline-cluster.ts";
import { agentsOf, runningLab } from "./running-lab.ts";

const CLUSTER_CIDR = "10.244.0.0/16"; // of the pods, where the configuration does not say

interface Options {
  file?: string[];
  node?: string;
  config?: string;
  format?: RuleFormat;
  family?: string;
  localIp?: string[];
  nfacct?: boolean;
}

interface RuleSet {
  node: string;
  family: IpFamily;
  format: RuleFormat;
  rules: string;
}

export function register(program: Command): void {
  program
    .command("rules")
    .description("the rules kube-proxy would have installed")
    .addOption(
      new Option("--format <format>", "default: that of the proxy's mode").choices([...RULE_FORMATS]),
    )
    .option("-f, --file <objects>", "manifests (repeatable); without: the running lab's objects", collect)
    .option("--node <name>", "on which node (default: every node of the lab, the first one of manifests)")
    .option("--config <file>", "a KubeProxyConfiguration")
    .addOption(
      new Option("--family <family>", "default: those of the node; iptables-save: its first").choices([
        "4",
        "6",
      ]),
    )
    .option("--local-ip <ip>", "a further address of the node's interfaces (repeatable)", collect)
    .option("--nfacct", "count with nfacct, whose counters must be there when the rules are loaded")
    .action(async (options: Options, command: Command) => run(options, command));
}

async function run(options: Options, command: Command): Promise<void> {
  const flags = globals(command);
  const sets: RuleSet[] = [];
  for (const node of nodesOf(flags, options)) {
    const proxy = written(options) ?? (await simulated(flags, node, options));
    sets.push(...ruleSets(proxy, options));
  }
  if (flags.output === "json" || flags.output === "yaml") {
    const items = sets.map((set) => ({ ...set, rules: set.rules.split("\n").slice(0, -1) }));
    return printData(flags.output, { kind: "rules", items }, [], []);
  }
  const many = new Set(sets.map((set) => set.node)).size > 1;
  await print(sets.map((set) => (many ? titled(set) : set.rules)).join(""));
}

function nodesOf(flags: Globals, options: Options): (string | undefined)[] {
  if (options.file !== undefined || options.node !== undefined) return [options.node];
  return agentsOf(runningLab(flags)).map((agent) => agent.node);
}

/** What one node's kube-proxy reads. */
interface ProxyInput {
  nodeName: string;
  objects: readonly KubeObject[];
  config: ProxyConfig;
  localAddresses: readonly Ip[];
  serviceCidrs: readonly Cidr[];
}

/**
 * Objects in which no controller has anything to fill in: they are taken as they stand, as a proxy would, whatever
 * ranges and namespaces their cluster had. Undefined: there are pods, or Services that wait for an address.
 */
function written(options: Options): ProxyInput | undefined {
  if (options.file === undefined || options.file.includes("-")) return undefined; // standard input is read once
  const objects = parseManifests(readAll(options.file)).map((manifest) => manifest.object);
  if (objects.some((o) => o.kind === "Pod" || o.kind === "Deployment" || isUnaddressed(o))) return undefined;
  const node = chooseNode(objects, options.node);
  return {
    nodeName: node.metadata.name,
    objects,
    config:
      options.config === undefined
        ? defaultProxyConfig(CLUSTER_CIDR)
        : readProxyFile(readText(options.config), CLUSTER_CIDR),
    localAddresses: [...nodeAddresses(node), ...(options.localIp ?? []).map(localIp)],
    serviceCidrs: [],
  };
}

function isUnaddressed(object: KubeObject): boolean {
  const { spec } = object as Service;
  return object.kind === "Service" && spec.type !== "ExternalName" && (spec.clusterIP ?? "") === "";
}

function chooseNode(objects: readonly KubeObject[], wanted: string | undefined): Node {
  const nodes = objects.filter((object): object is Node => object.kind === "Node");
  const node = nodes.find((each) => wanted === undefined || each.metadata.name === wanted);
  if (node !== undefined) return node;
  const names = nodes.map((each) => each.metadata.name);
  if (wanted === undefined) throw usageError("--node: the objects name no Node: say whose rules are wanted");
  if (names.length > 0)
    throw usageError(`--node ${wanted}: there is no such Node: use one of ${names.join(", ")}`);
  const metadata = { name: wanted };
  return { apiVersion: "v1", kind: "Node", metadata, spec: {}, status: {} };
}

/** The objects of the lab, or what a cluster's controllers make of manifests. */
async function simulated(flags: Globals, node: string | undefined, options: Options): Promise<ProxyInput> {
  const { config, objects } = await offlineCluster(flags, {
    ...(options.file !== undefined && { files: options.file }),
    ...(node !== undefined && { node }),
    ...(options.config !== undefined && { proxyConfig: options.config }),
  });
  const { nodeName, proxy, overlay, serviceCidrs } = config;
  const found = objects.find((o) => o.kind === "Node" && o.metadata.name === nodeName) as Node | undefined;
  const ranges = (found?.spec.podCIDRs ?? []).flatMap((text): Cidr | [] => parseCidr(text) ?? []);
  const localAddresses = [
    ...nodeAddresses(found),
    ...ranges.map((range) => nthIp(range, 1)), // the gateway of its pods
    ...(overlay.type === "vxlan" ? ranges.map((range) => nthIp(range, 0)) : []), // its end of the tunnel
    ...(options.localIp ?? []).map(localIp),
  ];
  return { nodeName, objects, config: proxy, localAddresses, serviceCidrs };
}

function ruleSets(input: ProxyInput, options: Options): RuleSet[] {
  const { nodeName, config, localAddresses } = input;
  const format = options.format ?? formatOf(config.mode);
  if (format === undefined)
    throw usageError(`mode ${config.mode} has no rules of its own: use --format ${RULE_FORMATS.join("|")}`);
  return families(format, localAddresses, options.family).map((family) => ({
    node: nodeName,
    family,
    format,
    rules: renderRules(format, { ...input, family, nfacct: options.nfacct === true }),
  }));
}

/** iptables-restore and ip6tables-restore are two programs: only one family's rules can be piped into each. */
function families(format: RuleFormat, addresses: readonly Ip[], asked: string | undefined): IpFamily[] {
  if (asked !== undefined) return [asked === "6" ? 6 : 4];
  const found = [...new Set(addresses.map((address) => address.family))];
  if (found.length === 0) return [4];
  return format === "iptables-save" ? [found[0]] : found;
}

function localIp(text: string): Ip {
  const address = parseIp(text);
  if (address === null) throw usageError(`--local-ip ${text}: not an IP address`);
  return address;
}

/** In every format a line with # is a comment. */
function titled({ node, family, rules }: RuleSet): string {
  return `# node ${node}, IPv${family}\n${rules}`;
}

function readText(file: string): ManifestText {
  try {
    return { file, text: readFileSync(file, "utf8") };
  } catch (error) {
    throw new CliError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
