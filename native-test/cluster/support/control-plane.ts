// A real control plane beside a test: etcd and kube-apiserver as scripts/test-cluster has built them, on the loopback of
// the network namespace that it has made. Everybody is known by a token, so that no certificates have to be made.
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { cannotRun } from "../../../src/testing/lab/lab.ts";
import { type Running, sleep, start } from "../../../src/testing/lab/process.ts";
import { Client } from "./client.ts";

export const PROGRAMS = process.env.PODWIRE_CLUSTER_PROGRAMS ?? "";
const ADMIN = "admin-token";
const PORT = 6443;
const ETCD = "http://127.0.0.1:2379";
const READY_MS = 90_000;
/** What ServiceAccounts ask is written down. */
const AUDIT = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }],
};

/** Why the tests of this file cannot run here, or false. */
export function noCluster(...tools: string[]): string | false {
  if (!existsSync(join(PROGRAMS, "kube-apiserver")) || PROGRAMS === "")
    return "needs a control plane: scripts/test-cluster";
  return cannotRun(...tools);
}

/** Of a role. */
export interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
}

/** "VERB GROUP/RESOURCE", in order. */
export function rightsOf(rules: readonly Rule[]): string[] {
  const one = ({ verbs, apiGroups = [], resources = [] }: Rule): string[] =>
    verbs.flatMap((verb) =>
      apiGroups.flatMap((group) => resources.map((name) => `${verb} ${group}/${name}`)),
    );
  return rules.flatMap(one).sort();
}

type Flags = Readonly<Record<string, string | number | boolean>>;

interface Options {
  /** The API server listens here, in the test's namespace. */
  readonly address?: string;
  /** Of the API server, before those of its own. */
  readonly flags?: Flags;
  /** Users besides the administrator and kube-proxy, with the groups that they are in. */
  readonly users?: Readonly<Record<string, string>>;
}

export class ControlPlane {
  readonly server: string;
  readonly folder: string;
  readonly #address: string;
  readonly #flags: Flags;
  readonly #running: Running[] = [];
  #client: Client | undefined;
  #server: Running | undefined;

  private constructor(folder: string, address: string, flags: Flags) {
    this.folder = folder;
    this.#address = address;
    this.#flags = flags;
    this.server = `https://${address}:${PORT}`;
  }

  static async start(folder: string, options: Options = {}): Promise<ControlPlane> {
    const { address = "127.0.0.1", flags = {}, users: more = {} } = options;
    const plane = new ControlPlane(join(folder, "control-plane"), address, flags);
    mkdirSync(join(plane.folder, "pki"), { recursive: true });
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    writeFileSync(plane.#file("sa.key"), privateKey.export({ type: "sec1", format: "pem" }));
    writeFileSync(plane.#file("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
    const users = [`${ADMIN},admin,1,system:masters`, "proxy-token,system:kube-proxy,2"];
    for (const [user, group] of Object.entries(more)) {
      const line = [plane.tokenOf(user), user, users.length + 1, group];
      users.push(line.filter((word) => word !== "").join());
    }
    writeFileSync(plane.#file("audit.json"), JSON.stringify(AUDIT));
    writeFileSync(plane.#file("tokens.csv"), `${users.join("\n")}\n`);
    try {
      await plane.#startEtcd();
      await plane.startServer();
    } catch (error) {
      await plane.stop();
      throw error;
    }
    return plane;
  }

  /** Its administrator. */
  get admin(): Client {
    this.#client ??= new Client(this.server, this.caFile, ADMIN);
    return this.#client;
  }

  get caFile(): string {
    return join(this.folder, "pki", "apiserver.crt");
  }

  /** What one of the users of the options is known by. */
  tokenOf(user: string): string {
    return `${user.replaceAll(":", "-")}-token`;
  }

  /** A kubeconfig for this user, e.g. { token } or { tokenFile }. */
  kubeconfig(user: object): string {
    const file = this.#file(`kubeconfig-${Math.random().toString(36).slice(2)}`);
    const cluster = { server: this.server, "certificate-authority": this.caFile };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      clusters: [{ name: "test", cluster }],
      users: [{ name: "test", user }],
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  /** What becomes of a kubelet's token: as a pod of this account is given one, bound to a secret that can be deleted. */
  async serviceAccountToken(namespace: string, account: string, secret: string): Promise<string> {
    const made = await this.admin.done("POST", `/api/v1/namespaces/${namespace}/secrets`, {
      metadata: { name: secret },
    });
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const boundObjectRef = { apiVersion: "v1", kind: "Secret", name: secret, uid: made.metadata.uid };
    const { status } = await this.admin.done("POST", path, {
      spec: { expirationSeconds: 3600, boundObjectRef },
    });
    return status.token;
  }

  /** What an account has asked the server for: "VERB GROUP/RESOURCE", in order, each once. */
  asked(namespace: string, account: string): string[] {
    const asked = new Set<string>();
    for (const line of readFileSync(this.#file("audit.log"), "utf8").split("\n").slice(0, -1)) {
      const { user, verb, objectRef } = JSON.parse(line);
      if (user.username !== `system:serviceaccount:${namespace}:${account}` || objectRef === undefined)
        continue;
      const { apiGroup = "", resource, subresource } = objectRef;
      asked.add(`${verb} ${apiGroup}/${resource}${subresource === undefined ? "" : `/${subresource}`}`);
    }
    return [...asked].sort();
  }

  async startServer(): Promise<void> {
    const flags = {
      "etcd-servers": ETCD,
      "bind-address": this.#address,
      "secure-port": PORT,
      "advertise-address": this.#address,
      "endpoint-reconciler-type": "none",
      "cert-dir": join(this.folder, "pki"),
      "token-auth-file": this.#file("tokens.csv"),
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-key-file": this.#file("sa.pub"),
      "service-account-signing-key-file": this.#file("sa.key"),
      "authorization-mode": "RBAC",
      "allow-privileged": true, // as kubeadm has it: agents of nodes are
      "service-cluster-ip-range": "10.96.0.0/12",
      "disable-admission-plugins": "ServiceAccount",
      "audit-policy-file": this.#file("audit.json"),
      "audit-log-path": this.#file("audit.log"),
      ...this.#flags,
    };
    const command = [join(PROGRAMS, "kube-apiserver"), ...wordsOf(flags)];
    this.#server = await start(command, /Serving securely on/, READY_MS);
    const end = Date.now() + READY_MS;
    while ((await this.admin.ask("GET", "/readyz").catch(() => undefined))?.status !== 200) {
      if (Date.now() > end) throw new Error(`kube-apiserver is not ready: ${this.#server.output()}`);
      await sleep(100);
    }
  }

  /** What makes of objects other objects: pods of Deployments, slices of Services, podCIDRs of Nodes. */
  async startControllers(flags: Flags): Promise<void> {
    const own = {
      "service-account-private-key-file": this.#file("sa.key"),
      "root-ca-file": this.caFile,
      "use-service-account-credentials": true,
    };
    await this.#startClient("kube-controller-manager", { ...own, ...flags });
  }

  /** What chooses a node for each pod. */
  async startScheduler(): Promise<void> {
    await this.#startClient("kube-scheduler", {});
  }

  async #startClient(program: string, flags: Flags): Promise<void> {
    const kubeconfig = this.kubeconfig({ token: this.tokenOf(`system:${program}`) });
    const all = { kubeconfig, "bind-address": "127.0.0.1", "leader-elect": false, ...flags };
    const command = [join(PROGRAMS, program), ...wordsOf(all)];
    this.#running.push(await start(command, /Serving securely on/, READY_MS));
  }

  /** Kills the API server; etcd stays. */
  async killServer(): Promise<void> {
    await this.#server?.stop("SIGKILL");
    this.#client?.close();
    this.#client = undefined;
    this.#server = undefined;
  }

  /** Writes into etcd, past the server's checks. */
  async writeKey(key: string, value: object): Promise<void> {
    await etcd("kv/put", { key: base64(key), value: base64(JSON.stringify(value)) });
  }

  async deleteKey(key: string): Promise<void> {
    await etcd("kv/deleterange", { key: base64(key) });
  }

  /** Forgets the history up to now. */
  async compact(): Promise<void> {
    const { header } = await etcd("kv/range", { key: base64("/") });
    await etcd("kv/compaction", { revision: header.revision, physical: true });
  }

  async stop(): Promise<void> {
    this.#client?.close();
    await this.#server?.stop("SIGKILL");
    for (const each of this.#running.reverse()) await each.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.folder, name);
  }

  async #startEtcd(): Promise<void> {
    const peer = "http://127.0.0.1:2380";
    const flags = {
      "data-dir": this.#file("etcd"),
      "listen-client-urls": ETCD,
      "advertise-client-urls": ETCD,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `default=${peer}`,
    };
    const etcd = [join(PROGRAMS, "etcd"), "--unsafe-no-fsync", ...wordsOf(flags)];
    this.#running.push(await start(etcd, /serving client traffic|ready to serve client requests/, READY_MS));
  }
}

const wordsOf = (flags: Flags): string[] =>
  Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** etcd's API in JSON. */
function etcd(method: string, body: object): Promise<{ header: { revision: string } }> {
  return new Promise((resolve, reject) => {
    const made = request(`${ETCD}/v3/${method}`, { method: "POST" }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`etcd ${method}: ${response.statusCode} ${text}`));
      });
    });
    made.on("error", reject);
    made.end(JSON.stringify(body));
  });
}
