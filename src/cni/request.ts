/**
 * What the plug-in hands over: the CNI_* variables and standard input. Checked here as the reference library checks them,
 * so that an error tells all that is missing.
 */
import { isMap } from "../base/is-map.ts";
import { CniCode, CniError } from "./cni-error.ts";

export type Command = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS";

export interface CniRequest {
  readonly command: Command;
  /** "" where the operation has none, as the next two. */
  readonly containerId: string;
  readonly netns: string;
  readonly ifname: string;
  /** Of CNI_ARGS. */
  readonly args: ReadonlyMap<string, string>;
  /** The plug-in's object of the network's configuration. */
  readonly config: Readonly<Record<string, unknown>>;
}

const NEEDED: Readonly<Record<Command, readonly string[]>> = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME"],
  GC: [],
  STATUS: [],
};
const CONTAINER_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
/** As Linux has them, but for what ip(8) would read as more than a name. */
const IFNAME = /^(?!\.{1,2}$)[A-Za-z0-9_.+=@,-]{1,15}$/;
const NUL = 0;

/** VARIABLE=VALUE, each with a zero byte behind it, one more zero byte, and standard input. */
export function splitRequest(bytes: Buffer): { env: ReadonlyMap<string, string>; input: string } {
  const env = new Map<string, string>();
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(NUL, at);
    if (end < 0) throw new CniError(CniCode.IO_FAILURE, "the plug-in's request is not whole");
    if (end === at) return { env, input: bytes.toString("utf8", at + 1) };
    const [name, value] = splitAt(bytes.toString("utf8", at, end), "=");
    env.set(name, value);
    at = end + 1;
  }
}

/** The object on standard input. */
export function readConfig(input: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch (error) {
    throw new CniError(CniCode.UNDECODABLE, `standard input: ${(error as Error).message}`);
  }
  if (!isMap(value)) throw new CniError(CniCode.UNDECODABLE, "standard input is no JSON object");
  return value;
}

export function readRequest(
  env: ReadonlyMap<string, string>,
  config: Readonly<Record<string, unknown>>,
): CniRequest {
  const command = env.get("CNI_COMMAND") ?? "";
  if (!isCommand(command)) {
    const known = [...Object.keys(NEEDED), "VERSION"].join(", ");
    throw environment(`CNI_COMMAND "${command}" is none of ${known}`);
  }
  const of = (name: string): string => env.get(name) ?? "";
  const missing = NEEDED[command].filter((name) => of(name) === "");
  if (missing.length > 0) throw environment(`required env variables [${missing.join(",")}] missing`);
  const request: CniRequest = {
    command,
    containerId: of("CNI_CONTAINERID"),
    netns: of("CNI_NETNS"),
    ifname: of("CNI_IFNAME"),
    args: readArgs(of("CNI_ARGS")),
    config,
  };
  if (NEEDED[command].length > 0) checkNames(request);
  return request;
}

function checkNames({ containerId, netns, ifname }: CniRequest): void {
  if (!CONTAINER_ID.test(containerId)) {
    throw environment(
      `CNI_CONTAINERID "${containerId}": letters, digits, ".", "_" and "-", the first a letter or digit`,
    );
  }
  if (!IFNAME.test(ifname)) {
    throw environment(`CNI_IFNAME "${ifname}": no name of an interface of at most 15 characters`);
  }
  if (netns !== "" && !netns.startsWith("/")) throw environment(`CNI_NETNS "${netns}" is no absolute path`);
}

/** "K=V;K=V". Whoever sends more than is known says so with IgnoreUnknown. */
function readArgs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(";")) {
    if (pair === "") continue;
    const [name, value] = splitAt(pair, "=");
    if (name === "" || !pair.includes("=") || value.includes("=")) {
      throw environment(`CNI_ARGS: "${pair}" is no NAME=VALUE`);
    }
    args.set(name, value);
  }
  const unknown = [...args.keys()].filter((name) => !KNOWN_ARGS.has(name));
  const isIgnored = /^(1|true)$/i.test(args.get("IgnoreUnknown") ?? "");
  if (unknown.length > 0 && !isIgnored) {
    throw environment(`CNI_ARGS: ${unknown.join(", ")}: not known here, and no IgnoreUnknown=1`);
  }
  return args;
}

const KNOWN_ARGS = new Set([
  ...["IgnoreUnknown", "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"],
  ...["IP", "MAC"],
]);

function environment(message: string): CniError {
  return new CniError(CniCode.INVALID_ENVIRONMENT, message);
}

function isCommand(text: string): text is Command {
  return Object.hasOwn(NEEDED, text);
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
