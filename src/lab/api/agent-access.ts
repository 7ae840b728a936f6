// How the agents of a lab reach its Kubernetes API: at the machine's loopback, each by a kubeconfig that says which node
// it is. An agent's process is in the lab process's own network, and goes into its node's for its sockets alone; one with
// libpcap has to be there as a whole, so the API listens at the loopback of such nodes too. No packet of it goes through
// a data plane.
import { createServer, type Server } from "node:net";
import type { Credentials } from "../../apiserver/certificates.ts";
import { tokenKubeconfigText } from "../../apiserver/kubeconfig.ts";
import type { ApiServer } from "../../apiserver/server.ts";
import { Tokens } from "../../apiserver/tokens.ts";
import { errnoName, loadNative } from "../../native/binding.ts";
import * as names from "../net/names.ts";
import { agentKubeconfig, type LabPaths, writePrivately } from "../state-dir.ts";
import type { NodePlan, Topology } from "../topology.ts";

const LOOPBACK = "127.0.0.1";
const BACKLOG = 128;

export interface AgentAccessOptions {
  readonly topology: Topology;
  readonly paths: LabPaths;
  readonly api: ApiServer;
  readonly credentials: Credentials;
  readonly log: (line: string) => void;
}

export class AgentAccess {
  readonly #options: AgentAccessOptions;
  readonly #tokens: Tokens;
  /** Node → who listens in its network. */
  readonly #listeners = new Map<string, Server>();

  constructor(options: AgentAccessOptions) {
    this.#options = options;
    this.#tokens = new Tokens(options.credentials.accountKey, options.credentials.adminToken);
  }

  /** Before an agent starts, and again when its node's namespace is a new one. */
  async open(node: NodePlan): Promise<void> {
    const { topology, paths, api, credentials } = this.#options;
    const server = `https://${LOOPBACK}:${api.port}`;
    const token = this.#tokens.ofNode(node.name);
    const text = tokenKubeconfigText(topology.lab, server, credentials.ca, token);
    await writePrivately(agentKubeconfig(paths, node.name), text);
    if (node.uplinkDriver === "pcap") this.#listen(node);
  }

  #listen({ name, netns }: NodePlan): void {
    const { api, log } = this.#options;
    this.#listeners.get(name)?.close();
    this.#listeners.delete(name);
    const fd = loadNative().listenTcp(names.netnsPath(netns), LOOPBACK, api.port, BACKLOG);
    if (fd < 0) {
      log(`node ${name}: its agent cannot be told of objects at ${LOOPBACK}:${api.port}: ${errnoName(fd)}`);
      return;
    }
    const listener = createServer({ noDelay: true }, (socket) => api.take(socket));
    listener.on("error", (error) => log(`node ${name}: ${error.message}`));
    this.#listeners.set(name, listener.listen({ fd }));
  }
}
