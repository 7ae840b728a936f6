// A node that is fed by files, for the containers of real runtimes: an agent with CNI, both families.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PODWIRE } from "../../../src/testing/lab/lab.ts";
import { type Running, run, start } from "../../../src/testing/lab/process.ts";
import type { Namespaces } from "../../support/namespaces.ts";
import { cniConfig, makeNode, objects } from "../../support/own-node.ts";

const RANGES = ["10.244.1.0/24", "fd00:10:244:1::/64"];
const CAPABILITIES = { portMappings: true, ips: true, mac: true, dns: true, bandwidth: true };

interface Lease {
  readonly containerId: string;
  readonly netns: string;
  readonly ips: readonly string[];
  readonly pod: { readonly name: string } | null;
}

export class RuntimeNode {
  /** The network of its containers, as a conflist. */
  readonly network: { readonly name: string } & Record<string, unknown>;
  readonly #folder: string;
  readonly #socket: string;
  readonly #agent: Running;

  private constructor(folder: string, socket: string, agent: Running) {
    const plugin = { type: "podwire-cni", agent: socket, capabilities: CAPABILITIES };
    const versions = { cniVersion: "1.0.0", cniVersions: ["1.0.0", "1.1.0"] };
    this.network = { ...versions, name: "podwire", plugins: [plugin] };
    this.#folder = folder;
    this.#socket = socket;
    this.#agent = agent;
  }

  /** Makes the namespaces `node` and `peer`, and starts the agent. */
  static async start(namespaces: Namespaces, folder: string): Promise<RuntimeNode> {
    makeNode(namespaces, {});
    namespaces.ip("node", "addr add fd00:10:244:1::1/128 dev host0 nodad");
    namespaces.ip("node", "route add fd00:10:244:1::/64 dev host0 src fd00:10:244:1::1");
    const text = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects(namespaces, {}) });
    const ranges = `"podCIDRs":${JSON.stringify(RANGES)}`;
    await writeFile(join(folder, "objects.json"), text.replace('"podCIDRs":["10.244.1.0/24"]', ranges));
    const socket = join(folder, "agent.sock");
    await writeFile(join(folder, "agent.yaml"), JSON.stringify(cniConfig(namespaces, folder)));
    const command = [PODWIRE, "agent", "--config", join(folder, "agent.yaml")];
    return new RuntimeNode(folder, socket, await start(command, /data plane running/));
  }

  async leases(): Promise<Lease[]> {
    const text = await readFile(join(this.#folder, "leases.json"), "utf8").catch(() => '{"leases":[]}');
    return JSON.parse(text).leases;
  }

  /** Rows of `podwire show TABLE`. */
  async show(table: string): Promise<Record<string, unknown>[]> {
    const { stdout } = await run([PODWIRE, "--agent", this.#socket, "show", table, "-o", "json"]);
    return JSON.parse(stdout).items;
  }

  async stop(): Promise<void> {
    await this.#agent.stop();
  }
}
