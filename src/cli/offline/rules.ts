// podwire rules: the rule set that kube-proxy would have installed for the same objects, in the words of the
// tool that would load it, and portmap's for host ports; with --policy the one of Calico's Felix.
import { type Command, Option } from "commander";
import { cidr, type Ip, type IpFamily, nthIp, parseIp } from "../../base/ip.ts";
import { POLICY_FORMATS, type PolicyFormat, renderPolicyRules } from "../../calico/felix/policy-rules.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { KubeObject, Node } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { nodeAddresses } from "../../kubeproxy/proxy-view.ts";
import { formatOf, RULE_FORMATS, type RuleFormat, renderRules } from "../../kubeproxy/rules.ts";
import { refuseTwice } from "../../watch/input.ts";
import { type Globals, globals, note, print, printData } from "../context.ts";
import { usageError } from "../errors.ts";
import { collect, named, readObjects, readOne } from "../objects/manifests.ts";
import { openWorld, rawObjects } from "./explain-world.ts";
import { needControllers } from "./need-controllers.ts";
import { offlineCluster, refuseAgentAndFiles } from "./offline-cluster.ts";

interface Options {
  file?: string[];
  node?: string;
  config?: string;
  format?: RuleFormat | PolicyFormat;
  family?: string;
  localIp?: string[];
  nfacct?: boolean;
  policy?: boolean;
}

const FORMATS = [...new Set([...RULE_FORMATS, ...POLICY_FORMATS])];
const isOneOf = <T extends string>(formats: readonly T[], format: string): format is T =>
  (formats as readonly string[]).includes(format);

/** The rules of one node and family. */
interface RuleSet {
  node: string;
  family: IpFamily;
  format: RuleFormat | PolicyFormat;
  rules: string;
}

/** What one node's kube-proxy reads. */
interface ProxyInput {
  config: AgentConfig;
  objects: readonly KubeObject[];
  /**
   * The node's pods hang on a bridge of ours: its interfaces have more addresses than the Node object tells.
   */
  isOurs: boolean;
}

export function register(program: Command): void {
  program
    .command("rules")
    .description("the rules kube-proxy would have installed, or Calico for policies")
    .addOption(
      new Option("--format <format>", "default: that of the proxy's mode; of policy, iptables-save").choices(
        FORMATS,
      ),
    )
    .option(
      "-f, --file <objects>",
      "manifests (repeatable); without: the objects of the lab or agent here",
      collect,
    )
    .option("--node <name>", "on which node (default: every node here, the first one of manifests)")
    .option("--config <file>", "a KubeProxyConfiguration, or kubeadm's ConfigMap of it")
    .addOption(
      new Option("--family <family>", "default: those of the node; iptables-save: its first").choices([
        "4",
        "6",
      ]),
    )
    .option("--local-ip <ip>", "a further address of the node's interfaces (repeatable)", collect)
    .option(
      "--policy",
      "the chains (or --format ipset: the sets) that Calico would have written for policies",
    )
    .option("--nfacct", "count with nfacct, whose counters must be there when the rules are loaded")
    .action(async (options: Options, command: Command) => run(options, command));
}

async function run(options: Options, command: Command): Promise<void> {
  const flags = globals(command);
  refuseAgentAndFiles(command, options.file);
  refuseMixed(options);
  for (const text of options.localIp ?? []) {
    if (parseIp(text) === null) throw usageError(`--local-ip ${text}: not an IP address`);
  }
  const inputs = await inputsOf(flags, options);
  const sets = inputs.flatMap((input) => ruleSets(input, options));
  if (flags.output === "json" || flags.output === "yaml") {
    const items = sets.map((set) => ({ ...set, rules: set.rules.split("\n").slice(0, -1) }));
    return printData(flags.output, { kind: "rules", items }, [], []);
  }
  await print(sets.map((set) => (inputs.length > 1 ? titled(set) : set.rules)).join(""));
}

/** What one of the two rule sets has and the other has not. */
function refuseMixed({ policy = false, format, config, localIp, nfacct }: Options): void {
  if (!policy) {
    if (format !== undefined && !isOneOf(RULE_FORMATS, format))
      throw usageError(
        `--format ${format}: kube-proxy has no such rules: add --policy, which Calico writes so`,
      );
    return;
  }
  if (format !== undefined && !isOneOf(POLICY_FORMATS, format))
    throw usageError(`--format ${format}: with --policy it is one of ${POLICY_FORMATS.join(", ")}`);
  const proxys = { "--config": config, "--local-ip": localIp, "--nfacct": nfacct };
  const [given] = Object.entries(proxys).find(([, value]) => value !== undefined) ?? [];
  if (given !== undefined) throw usageError(`${given}: is kube-proxy's: leave it out, or --policy`);
}

async function inputsOf(flags: Globals, options: Options): Promise<ProxyInput[]> {
  const { file: files, node } = options;
  refuseTwice([...named("-f", files), ...named("--config", options.config)]);
  const texts = files === undefined ? undefined : readObjects(files);
  const config = options.config === undefined ? undefined : readOne(options.config);
  const passed = new PassedOver();
  const objects = texts === undefined ? undefined : rawObjects(texts, passed);
  if (objects !== undefined && needControllers(objects)) {
    const cluster = await offlineCluster(flags, { texts, node, proxyConfig: config });
    return [{ ...cluster, isOurs: true }]; // and what it passed over is told
  }
  for (const line of passed.notes()) note(line);
  const world = await openWorld(flags, { objects, config });
  if (node !== undefined && world.nodes.length > 0 && !world.nodes.includes(node)) {
    throw usageError(`--node ${node}: not there: use one of ${world.nodes.join(", ")}`);
  }
  const asked = node !== undefined ? [node] : files === undefined ? world.nodes : world.nodes.slice(0, 1);
  if (asked.length === 0) throw usageError("--node is missing: the objects name no Node");
  const isOurs = files === undefined;
  return Promise.all(
    asked.map(async (name) => ({ config: await world.config(name), objects: world.objects, isOurs })),
  );
}

function ruleSets(input: ProxyInput, options: Options): RuleSet[] {
  return options.policy === true ? policySets(input, options) : proxySets(input, options);
}

function policySets({ config, objects }: ProxyInput, options: Options): RuleSet[] {
  const { nodeName, overlay } = config;
  const format = (options.format ?? "iptables-save") as PolicyFormat;
  const node = objects.find((o) => o.kind === "Node" && o.metadata.name === nodeName) as Node | undefined;
  return families(format, nodeAddresses(node), options.family).map((family) => ({
    node: nodeName,
    family,
    format,
    rules: renderPolicyRules(format, { objects, nodeName, family, overlay }),
  }));
}

function proxySets({ config, objects, isOurs }: ProxyInput, options: Options): RuleSet[] {
  const { nodeName, proxy, serviceCidrs } = config;
  const format = (options.format as RuleFormat | undefined) ?? formatOf(proxy.mode);
  if (format === undefined)
    throw usageError(`mode ${proxy.mode} has no rules of its own: use --format ${RULE_FORMATS.join("|")}`);
  const node = objects.find((o) => o.kind === "Node" && o.metadata.name === nodeName) as Node | undefined;
  const localAddresses = [
    ...nodeAddresses(node),
    ...(isOurs ? interfaceAddresses(node, config) : []),
    ...(options.localIp ?? []).flatMap((text) => parseIp(text) ?? []),
  ];
  return families(format, localAddresses, options.family).map((family) => ({
    node: nodeName,
    family,
    format,
    rules: renderRules(format, {
      objects,
      nodeName,
      config: proxy,
      family,
      localAddresses,
      serviceCidrs,
      nfacct: options.nfacct === true,
    }),
  }));
}

/** The gateway of its pods, and its end of the tunnel. */
function interfaceAddresses(node: Node | undefined, { overlay }: AgentConfig): Ip[] {
  const ranges = (node?.spec.podCIDRs ?? []).map(cidr);
  const gateways = ranges.map((range) => nthIp(range, 1));
  return overlay.type === "vxlan" ? [...gateways, ...ranges.map((range) => nthIp(range, 0))] : gateways;
}

/** iptables-restore and ip6tables-restore are two programs: each takes the rules of one family only. */
function families(
  format: RuleSet["format"],
  addresses: readonly Ip[],
  asked: string | undefined,
): IpFamily[] {
  if (asked !== undefined) return [asked === "6" ? 6 : 4];
  const found = [...new Set(addresses.map((address) => address.family))];
  if (found.length === 0) return [4];
  return format === "iptables-save" ? [found[0]] : found;
}

/** In every format a line with # is a comment. */
function titled({ node, family, rules }: RuleSet): string {
  return `# node ${node}, IPv${family}\n${rules}`;
}
