/**
 * How to reach an API server: kubeconfig files as kubectl reads them (several are merged, the first that names something
 * wins; paths are relative to their file), what every pod is given, or a socket of this machine.
 */
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";
import { parse } from "yaml";
import { PodwireError } from "../../base/errors.ts";
import { type Ip, parseIp } from "../../base/ip.ts";
import { problemOf } from "../input.ts";

/** A file, or what it would hold. */
export type Bytes = { readonly file: string } | { readonly data: Buffer };

export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string;
  readonly provideClusterInfo: boolean;
  /** Folder that a relative command is in. */
  readonly folder: string;
}

/** Where the server is, and who we are. Files are read when they are needed: they are renewed under their names. */
export interface Access {
  /** Tried in turn. */
  readonly servers: readonly URL[];
  readonly ca?: Bytes;
  readonly serverName?: string;
  readonly insecure: boolean;
  readonly cert?: Bytes;
  readonly key?: Bytes;
  readonly token?: Bytes;
  readonly exec?: ExecPlugin;
  readonly headers: Readonly<Record<string, string>>;
}

export interface AccessOptions {
  /** Of the configuration; else $KUBECONFIG, else what a pod is given. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** Instead of the address that the kubeconfig or the pod's environment names; unix:PATH: a socket, no credentials. */
  readonly servers?: readonly string[] | undefined;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const UNIX = "unix:";
const EXEC_VERSIONS = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

type Fields = Readonly<Record<string, unknown>>;

export class KubeconfigError extends PodwireError {
  constructor(message: string) {
    super(message, { code: "KUBECONFIG" });
  }
}

export function readAccess(
  options: AccessOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
  serviceAccount = SERVICE_ACCOUNT,
): Access {
  const sockets = (options.servers ?? []).filter((text) => text.startsWith(UNIX)).map(socketUrl);
  // Who may open a socket is known by that.
  if (sockets.length > 0) return { servers: sockets, insecure: false, headers: {} };
  const files = (options.kubeconfig ?? env.KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  const access = files.length > 0 ? ofKubeconfig(files, options.context) : ofPod(env, serviceAccount);
  const servers = (options.servers ?? []).map((text) => serverUrl(text, "source.kubernetes.servers"));
  if (servers.length > 0) return { ...access, servers };
  if (access.servers.length > 0) return access;
  throw new KubeconfigError("source.kubernetes: no kubeconfig, and this is no pod: name one with kubeconfig");
}

/** A server by the path of its socket. */
function socketUrl(text: string): URL {
  const path = text.slice(UNIX.length).replace(/^\/\/(?=\/)/, "");
  if (path.startsWith("/")) return new URL(`${UNIX}${path.split("/").map(encodeURIComponent).join("/")}`);
  throw new KubeconfigError(
    `source.kubernetes.servers: ${JSON.stringify(text)}: give unix: and a path from /`,
  );
}

/** Undefined: it is no socket of this machine. */
export function socketPathOf({ protocol, pathname }: URL): string | undefined {
  return protocol === UNIX ? decodeURIComponent(pathname) : undefined;
}

/** As messages name it. */
export function serverText(url: URL): string {
  const path = socketPathOf(url);
  return path === undefined ? url.origin : `${UNIX}${path}`;
}

/** null: it has a name. */
export function addressOf({ hostname }: URL): Ip | null {
  return parseIp(hostname.replace(/^\[|\]$/g, ""));
}

function ofPod(env: Readonly<Record<string, string | undefined>>, folder: string): Access {
  const [host, port] = [env.KUBERNETES_SERVICE_HOST ?? "", env.KUBERNETES_SERVICE_PORT ?? "443"];
  const token = `${folder}/token`;
  const isPod = host !== "" && existsSync(token);
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    servers: isPod ? [serverUrl(`https://${name}:${port}`, "KUBERNETES_SERVICE_HOST")] : [],
    ...{ ca: { file: `${folder}/ca.crt` }, token: { file: token }, insecure: false, headers: {} },
  };
}

function ofKubeconfig(files: readonly string[], wanted: string | undefined): Access {
  const read = files.map((file) => ({ file: resolve(file), config: readConfig(file) }));
  const current = read.map(({ config }) => config["current-context"]).find((name) => isText(name)) ?? "";
  const context = wanted ?? String(current);
  if (context === "") throw new KubeconfigError(`${files[0]}: no current-context: name one with context`);
  const names = find(read, "contexts", "context", context, files[0]).value;
  const cluster = find(read, "clusters", "cluster", String(names.cluster ?? ""), files[0]);
  const user = find(read, "users", "user", String(names.user ?? ""), files[0]);
  return { ...clusterAccess(cluster), ...userAccess(user) };
}

interface Found {
  readonly file: string;
  readonly name: string;
  readonly value: Fields;
}

function readConfig(file: string): Fields {
  try {
    const value = parsed(readFileSync(file, "utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  } catch (error) {
    throw new KubeconfigError(`kubeconfig ${file}: ${problemOf(error)}`);
  }
  throw new KubeconfigError(`kubeconfig ${file}: not a map with clusters, users and contexts`);
}

/** Of a lab it is JSON, which is YAML: to read the first YAML takes an agent 8 ms. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return parse(text);
  }
}

function find(
  read: readonly { file: string; config: Fields }[],
  list: string,
  field: string,
  name: string,
  first: string,
): Found {
  for (const { file, config } of read) {
    const items = config[list];
    if (!Array.isArray(items)) continue;
    const item = items.find((each: Fields | null) => each?.name === name) as Fields | undefined;
    if (item !== undefined) return { file, name, value: (item[field] ?? {}) as Fields };
  }
  throw new KubeconfigError(`kubeconfig ${first}: no ${field} ${JSON.stringify(name)}`);
}

function clusterAccess({ file, name, value }: Found) {
  const at = `kubeconfig ${file}: cluster ${JSON.stringify(name)}`;
  if (isText(value["proxy-url"])) {
    const why = "a node reaches its API server by itself";
    throw new KubeconfigError(`${at}: proxy-url is not followed: ${why}: give a server that needs no proxy`);
  }
  const serverName = value["tls-server-name"];
  return {
    servers: [serverUrl(String(value.server ?? ""), `${at}: server`)],
    ...named("ca", bytesOf(value, "certificate-authority", file)),
    ...(isText(serverName) ? { serverName } : {}),
    insecure: value["insecure-skip-tls-verify"] === true,
  };
}

/** What kubectl no longer takes, or what says that somebody else is meant. */
const REFUSED = ["auth-provider", "username", "password", "as-uid", "as-user-extra"];

function userAccess({ file, name, value }: Found) {
  const at = `kubeconfig ${file}: user ${JSON.stringify(name)}`;
  const refused = REFUSED.find((field) => value[field] !== undefined && value[field] !== "");
  if (refused !== undefined) throw new KubeconfigError(`${at}: ${refused} is not supported`);
  const token = isText(value.tokenFile)
    ? { file: resolve(dirname(file), value.tokenFile) }
    : isText(value.token)
      ? { data: Buffer.from(value.token) }
      : undefined;
  const groups = Array.isArray(value["as-groups"]) ? value["as-groups"].map(String) : [];
  const impersonated = isText(value.as) ? { "impersonate-user": value.as } : {};
  return {
    ...named("cert", bytesOf(value, "client-certificate", file)),
    ...named("key", bytesOf(value, "client-key", file)),
    ...named("token", token),
    ...(value.exec === undefined || value.exec === null
      ? {}
      : { exec: execOf(value.exec as Fields, at, file) }),
    headers: { ...impersonated, ...(groups.length > 0 ? { "impersonate-group": groups.join(",") } : {}) },
  };
}

function execOf(exec: Fields, at: string, file: string): ExecPlugin {
  const fail = (why: string): never => {
    throw new KubeconfigError(`${at}: exec: ${why}`);
  };
  const { apiVersion, command } = exec;
  if (!isText(command)) return fail("no command");
  if (!isText(apiVersion) || !EXEC_VERSIONS.includes(apiVersion))
    return fail(`apiVersion ${String(apiVersion)} is not one of ${EXEC_VERSIONS.join(", ")}`);
  if (exec.interactiveMode === "Always") return fail("interactiveMode Always: an agent has nobody to ask");
  const env = Array.isArray(exec.env) ? (exec.env as { name: string; value: string }[]) : [];
  return {
    ...{ apiVersion, command, folder: dirname(file) },
    args: Array.isArray(exec.args) ? exec.args.map(String) : [],
    env: Object.fromEntries(env.map(({ name, value }) => [name, String(value)])),
    installHint: isText(exec.installHint) ? exec.installHint.trim() : "",
    provideClusterInfo: exec.provideClusterInfo === true,
  };
}

function bytesOf(value: Fields, field: string, file: string): Bytes | undefined {
  const data = value[`${field}-data`];
  if (isText(data)) return { data: Buffer.from(data, "base64") };
  const path = value[field];
  return isText(path) ? { file: resolve(dirname(file), path) } : undefined;
}

/** `what` has this text. */
export function serverUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === "https:" || url.protocol === "http:")) return url;
  throw new KubeconfigError(
    `${what}: ${JSON.stringify(text)} is not an address such as https://192.168.1.10:6443`,
  );
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
const named = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as Partial<Record<K, V>>;
