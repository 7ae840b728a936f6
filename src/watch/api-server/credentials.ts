/** What a request to the API server carries: certificates and a bearer token, read again when they were renewed. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { problemOf } from "../input.ts";
import { type Access, type Bytes, type ExecPlugin, KubeconfigError } from "./kubeconfig.ts";

export interface Credentials {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** Changes with the certificates: connections are made anew. */
  readonly tlsKey: string;
}

interface Plugged {
  readonly token?: string;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly expiresMs: number;
}

const EXEC_TIMEOUT_MS = 60_000;
const EXEC_BYTES = 1024 * 1024;
/** A token is used no longer than until so long before its end. */
const EARLY_MS = 10_000;
/** What a header may hold. */
const TOKEN = /^[\x21-\x7e]*$/;
const run = promisify(execFile);

export class CredentialReader {
  readonly #access: Access;
  #plugged: Promise<Plugged> | undefined;
  #expiresMs = 0;

  constructor(access: Access) {
    this.#access = access;
  }

  /** Throws a KubeconfigError when a file or a plug-in does not give them. */
  async read(nowMs = Date.now()): Promise<Credentials> {
    const { ca, cert, key, token, exec, headers } = this.#access;
    const plugged = exec === undefined ? undefined : await this.#plug(exec, nowMs);
    const tls = {
      ...part("ca", ca === undefined ? undefined : read("CA", ca)),
      ...part("cert", plugged?.cert ?? (cert === undefined ? undefined : read("client certificate", cert))),
      ...part("key", plugged?.key ?? (key === undefined ? undefined : read("client key", key))),
    };
    const bearer = (
      plugged?.token ?? (token === undefined ? "" : read("token", token).toString("utf8"))
    ).trim();
    if (!TOKEN.test(bearer)) throw new KubeconfigError(`${tokenName(this.#access)} is not one word of ASCII`);
    return {
      ...tls,
      headers: { ...headers, ...(bearer === "" ? {} : { authorization: `Bearer ${bearer}` }) },
      tlsKey: Object.values(tls)
        .map((bytes) => bytes?.toString("base64"))
        .join(":"),
    };
  }

  /** The server refused what the plug-in gave last: it is asked again. */
  refused(): void {
    this.#plugged = undefined;
  }

  async #plug(exec: ExecPlugin, nowMs: number): Promise<Plugged> {
    if (this.#plugged !== undefined && nowMs < this.#expiresMs) return await this.#plugged;
    this.#expiresMs = Number.POSITIVE_INFINITY; // one run at a time
    this.#plugged = runPlugin(exec, this.#access);
    try {
      const plugged = await this.#plugged;
      this.#expiresMs = plugged.expiresMs - EARLY_MS;
      return plugged;
    } catch (error) {
      this.#plugged = undefined;
      throw error;
    }
  }
}

/** For errors: never what it is. */
function tokenName({ exec, token }: Access): string {
  if (exec !== undefined) return `credential plug-in ${exec.command}: its token`;
  return token !== undefined && "file" in token ? `token ${token.file}` : "the token";
}

function read(what: string, bytes: Bytes): Buffer {
  if ("data" in bytes) return bytes.data;
  try {
    return readFileSync(bytes.file);
  } catch (error) {
    throw new KubeconfigError(`${what} ${bytes.file}: ${problemOf(error)}`);
  }
}

async function runPlugin(exec: ExecPlugin, access: Access): Promise<Plugged> {
  const { apiVersion, command, args, env, folder, installHint, provideClusterInfo } = exec;
  const program = command.includes("/") ? resolve(folder, command) : command;
  const cluster = provideClusterInfo ? { cluster: clusterInfo(access) } : {};
  const spec = { interactive: false, ...cluster };
  const info = JSON.stringify({ apiVersion, kind: "ExecCredential", spec });
  let stdout: string;
  try {
    ({ stdout } = await run(program, [...args], {
      ...{ timeout: EXEC_TIMEOUT_MS, maxBuffer: EXEC_BYTES, encoding: "utf8" },
      env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: info },
    }));
  } catch (error) {
    const { code, stderr = "" } = error as { code?: unknown; stderr?: string };
    const hint = installHint === "" ? "" : `: ${installHint.split("\n", 1)[0]}`;
    const why =
      code === "ENOENT" ? `not found${hint}` : `failed: ${stderr.trim().split("\n").at(-1) || code}`;
    throw new KubeconfigError(`credential plug-in ${command}: ${why}`);
  }
  return pluggedFrom(stdout, apiVersion, command);
}

function pluggedFrom(text: string, apiVersion: string, command: string): Plugged {
  const fail = (why: string): never => {
    throw new KubeconfigError(`credential plug-in ${command}: ${why}`);
  };
  let answer: { kind?: string; apiVersion?: string; status?: Record<string, string | undefined> } | null;
  try {
    answer = JSON.parse(text);
  } catch {
    return fail("its answer is not JSON");
  }
  if (answer?.kind !== "ExecCredential" || answer.apiVersion !== apiVersion)
    return fail(`its answer is no ExecCredential of ${apiVersion}`);
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = answer.status ?? {};
  if (token === undefined && cert === undefined) return fail("it gave neither a token nor a certificate");
  if ([token, cert, key].some((each) => each !== undefined && typeof each !== "string"))
    return fail("token, certificate and key have to be strings");
  if ((cert === undefined) !== (key === undefined)) return fail("of certificate and key it gave one");
  const expiresMs =
    expirationTimestamp === undefined ? Number.POSITIVE_INFINITY : Date.parse(expirationTimestamp);
  if (Number.isNaN(expiresMs)) return fail(`expirationTimestamp ${expirationTimestamp} is no time`);
  return {
    ...part("token", token),
    ...part("cert", cert === undefined ? undefined : Buffer.from(cert)),
    ...part("key", key === undefined ? undefined : Buffer.from(key)),
    expiresMs,
  };
}

function clusterInfo({ servers, ca, serverName, insecure }: Access): Record<string, unknown> {
  return {
    server: servers[0].href.replace(/\/$/, ""),
    ...(ca === undefined ? {} : { "certificate-authority-data": read("CA", ca).toString("base64") }),
    ...(serverName === undefined ? {} : { "tls-server-name": serverName }),
    ...(insecure ? { "insecure-skip-tls-verify": true } : {}),
  };
}

const part = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as Partial<Record<K, V>>;
