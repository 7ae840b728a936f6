// What `podwire install` and `podwire uninstall` are told of a cluster, checked as the agent will check it.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { contains, formatCidr, isLoopback } from "../../base/ip.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { parseHostPort } from "../../config/host-port.ts";
import { readAgentFile } from "../../config/read-config.ts";
import { ManifestError } from "../../kube/manifest/manifest.ts";
import { dns1123Label } from "../../kube/validate/names.ts";
import { addressOf, readAccess, serverUrl } from "../../watch/api-server/kubeconfig.ts";
import { readInput } from "../../watch/input.ts";
import { note } from "../context.ts";
import { usageError } from "../errors.ts";
import { CNI_BIN_DIR, CNI_CONF_DIR, cniFolder } from "./cni-network.ts";
import type { Installation, Place } from "./manifests.ts";

export interface PlaceFlags extends Place {
  print?: boolean;
}

export interface InstallFlags extends PlaceFlags {
  config?: string;
  podCidr?: string;
  serviceCidr?: string;
  overlay?: string;
  vxlanPort?: string;
  vni?: string;
  proxyMode?: string;
  nodePorts?: string;
  apiServer?: string[];
}

const POD_CIDR = "10.244.0.0/16"; // what flannel's manifest has, and kubeadm's documentation
const SERVICE_CIDR = "10.96.0.0/12"; // kubeadm's
const VERSION = "0.1.0";
/** Of the program's own settings, those that stand in the AgentConfiguration. */
const SETTINGS = ["podCidr", "serviceCidr", "overlay", "vxlanPort", "vni", "proxyMode", "nodePorts"] as const;

const OPTION_OF: Readonly<Record<string, string>> = Object.freeze({
  clusterCIDR: "--pod-cidr",
  serviceCIDR: "--service-cidr",
  "overlay.type": "--overlay",
  "overlay.port": "--vxlan-port",
  "overlay.vni": "--vni",
  "proxy.mode": "--proxy-mode",
  nodePortRange: "--node-ports",
});

/** What both verbs are told. */
export function addPlace(command: Command): Command {
  return command
    .option("--print", "print the manifests, for kubectl apply -f -")
    .option(
      "--image <image>",
      "the container image (scripts/image makes it)",
      image,
      `localhost/podwire:${VERSION}`,
    )
    .option("--namespace <name>", "where the DaemonSet is; kube-system: none is made", namespace, "podwire")
    .option("--cni-bin-dir <folder>", "where nodes' runtimes look for plug-ins", cniFolder, CNI_BIN_DIR)
    .option("--cni-conf-dir <folder>", "where they look for networks", cniFolder, CNI_CONF_DIR);
}

export function addSettings(command: Command): Command {
  return command
    .option(
      "--api-server <url>",
      "the server's own address; may be given again (default: your kubeconfig's)",
      more,
    )
    .option("--pod-cidr <ranges>", `pods' ranges, one a family, by comma (default: ${POD_CIDR})`)
    .option("--service-cidr <ranges>", `services' ranges (default: ${SERVICE_CIDR})`)
    .option("--overlay <type>", "vxlan, or none: routes between nodes (default: vxlan)")
    .option("--vxlan-port <port>", "UDP port of the tunnel (default: 8472, as flannel)")
    .option("--vni <number>", "network identifier of the tunnel (default: 1, as flannel)")
    .option("--proxy-mode <mode>", "the mode of kube-proxy that services work like (default: iptables)")
    .option("--node-ports <range>", "the API server's --service-node-port-range (default: 30000-32767)")
    .option("--config <file>", "an AgentConfiguration of yours instead of these settings");
}

/** Nothing is changed by these verbs: what they print is. */
export function checkPrint({ print }: PlaceFlags, verb: string): void {
  if (print === true) return;
  throw usageError(`${verb}: changes nothing by itself: podwire ${verb} --print | kubectl apply -f -`);
}

/** What the manifests are made of. */
export function installation(flags: InstallFlags): Installation {
  const configuration = flags.config === undefined ? ofFlags(flags) : ofFile(flags, flags.config);
  const config =
    flags.config === undefined ? checkedFlags(configuration) : checked(configuration, flags.config);
  checkServers(config, flags.config ?? (flags.apiServer === undefined ? "your kubeconfig" : "--api-server"));
  const { image, namespace, cniBinDir, cniConfDir } = flags;
  const healthPort = parseHostPort(config.proxy.healthzBindAddress)?.port ?? null;
  return { image, namespace, configuration, healthPort, cniBinDir, cniConfDir };
}

function ofFlags(flags: InstallFlags): string {
  const { podCidr = POD_CIDR, serviceCidr = SERVICE_CIDR, vni = "1", vxlanPort = "8472" } = flags;
  const { overlay = "vxlan", proxyMode, nodePorts } = flags;
  const isTunnel = overlay !== "none";
  if (!isTunnel && (flags.vni ?? flags.vxlanPort) !== undefined)
    throw usageError("--overlay none has no tunnel: leave --vni and --vxlan-port out");
  const servers = flags.apiServer ?? serverOfKubeconfig();
  const word = (text: string): string => (/^[\w./:,-]+$/.test(text) ? text : JSON.stringify(text));
  return [
    "apiVersion: podwire.dev/v1alpha1",
    "kind: AgentConfiguration",
    `clusterCIDR: ${word(podCidr)}`,
    `serviceCIDR: ${word(serviceCidr)}`,
    isTunnel
      ? `overlay: { type: ${word(overlay)}, vni: ${word(vni)}, port: ${word(vxlanPort)} }`
      : "overlay: { type: none }",
    "uplink: { mode: shared } # the NIC with the node's InternalIP, beside the kernel",
    ...(proxyMode === undefined ? [] : [`proxy: { mode: ${word(proxyMode)} }`]),
    ...(nodePorts === undefined
      ? []
      : [`nodePortRange: ${/^\d+$/.test(nodePorts) ? `"${nodePorts}"` : word(nodePorts)}`]),
    "# The address of the API server itself. What a pod is told, KUBERNETES_SERVICE_HOST, is a service, which works once",
    "# the agent does: a node without kube-proxy needs another one.",
    ...(servers.length === 0
      ? ["source: { kubernetes: {} } # { servers: [ https://192.168.1.10:6443 ] }"]
      : [`source: { kubernetes: { servers: ${JSON.stringify(servers).replaceAll(",", ", ")} } }`]),
    "cni: {}",
    "",
  ].join("\n");
}

/** By its name in code. */
export function optionNamed(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function ofFile(flags: InstallFlags, file: string): string {
  const other = SETTINGS.find((name) => flags[name] !== undefined);
  if (other !== undefined || flags.apiServer !== undefined) {
    const option = optionNamed(other ?? "apiServer");
    throw usageError(`${option} beside --config: the file has its own setting: write it there`);
  }
  const text = readInput(file);
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** What is wrong is told by the option that says it. */
function checkedFlags(text: string): AgentConfig {
  try {
    return checked(text, "the settings");
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const [, field = "", why] = /^.*?AgentConfiguration: ([\w.]+): (.*)$/.exec(error.problems[0].text) ?? [];
    const option = OPTION_OF[field];
    throw option === undefined ? error : usageError(`${option}: ${why}: see podwire install --help`);
  }
}

/** As each node's agent will read it. */
function checked(text: string, file: string): AgentConfig {
  const config = readAgentFile({ file, text }, (lines) => lines.forEach(note));
  const at = `${file}: an agent of a DaemonSet`;
  if (config.nodeName !== "") throw usageError(`${at} is told its node's name: leave nodeName out`);
  if (!("kubernetes" in config.source))
    throw usageError(`${at} follows the API server: give it source.kubernetes`);
  if (config.cni === null) throw usageError(`${at} gives pods their network: give it cni: {}`);
  return config;
}

/** The server that kubectl asks, where every node can ask it too. */
function serverOfKubeconfig(): string[] {
  const { KUBECONFIG = join(homedir(), ".kube/config") } = process.env;
  const files = KUBECONFIG.split(":").filter((file) => existsSync(file));
  try {
    const [server] = files.length === 0 ? [] : readAccess({ kubeconfig: files.join(":") }).servers;
    if (server === undefined) throw new Error("there is no kubeconfig");
    if (isOwnHost(server)) throw new Error(`${server.origin} of your kubeconfig is this machine's alone`);
    const how = "--api-server names another address";
    note(`note: agents reach the API server at ${server.origin}, as your kubeconfig does: ${how}`);
    return [server.origin];
  } catch (error) {
    const why = (error as Error).message;
    note(
      `note: ${why}: agents ask KUBERNETES_SERVICE_HOST, which needs kube-proxy: --api-server names the server itself`,
    );
    return [];
  }
}

function isOwnHost(server: URL): boolean {
  const address = addressOf(server);
  return server.hostname === "localhost" || (address !== null && isLoopback(address));
}

/** Nodes have to reach it before agents serve anything, and pods' networks are what agents make. */
function checkServers(config: AgentConfig, who: string): void {
  const { source, serviceCidrs, clusterCidrs } = config;
  const { servers = [] } = "kubernetes" in source ? source.kubernetes : {};
  for (const server of servers.map((text) => serverUrl(text, `${who}: source.kubernetes.servers`))) {
    const address = addressOf(server);
    const range = [...serviceCidrs, ...clusterCidrs].find(
      (each) => address !== null && contains(each, address),
    );
    const isName = address === null && /\.svc(?:\.|$)/.test(server.hostname);
    if (range === undefined && !isName) continue;
    const whose =
      range === undefined ? "a Service's name" : `of ${formatCidr(range)}, services' or pods' addresses`;
    const why =
      "which nodes reach by their agents alone: --api-server https://192.168.1.10:6443 names the server's own";
    throw usageError(`${who}: ${server.origin} is ${whose}, ${why}`);
  }
}

function image(text: string): string {
  if (/^[a-z0-9][\w.-]*(?::\d+)?(?:\/[a-z0-9][\w.-]*)*(?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]{64})?$/.test(text))
    return text;
  throw new InvalidArgumentError("It is no image such as registry.example/podwire:0.1.0.");
}

function namespace(text: string): string {
  const [problem] = dns1123Label(text);
  if (problem === undefined) return text;
  throw new InvalidArgumentError(`It is no name of a namespace: ${problem}.`);
}

function more(text: string, all: string[] = []): string[] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // What an origin leaves out would be lost without a word: a path, a user, a question.
  const isOrigin = url !== undefined && url.href === `${url.origin}/`;
  if (!isOrigin || url.protocol !== "https:" || isOwnHost(url))
    throw new InvalidArgumentError(
      "It is no address of an API server that nodes reach, such as https://192.168.1.10:6443.",
    );
  return [...all, url.origin];
}
