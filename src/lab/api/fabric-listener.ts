// The lab's Kubernetes API at its address on the fabric: sockets of the fabric's namespace, held by the lab's process.
import { createServer, type Server } from "node:net";
import type { ApiServer } from "../../apiserver/server.ts";
import { formatHostPort } from "../../config/host-port.ts";
import { errnoName, loadNative } from "../../native/binding.ts";
import { API_PORT, controlPlaneAddresses } from "../net/control-plane.ts";
import * as names from "../net/names.ts";
import type { Topology } from "../topology.ts";

const BACKLOG = 511; // Node's own

export class FabricListener {
  readonly #topology: Topology;
  readonly #server: ApiServer;
  readonly #log: (line: string) => void;
  #listeners: Server[] = [];

  constructor(topology: Topology, server: ApiServer, log: (line: string) => void) {
    this.#topology = topology;
    this.#server = server;
    this.#log = log;
  }

  open(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
    const netns = names.netnsPath(names.fabricNetns(this.#topology.lab));
    for (const address of controlPlaneAddresses(this.#topology)) {
      const where = `${formatHostPort({ address, port: API_PORT })} in ${netns}`;
      const fd = loadNative().listenTcp(netns, address, API_PORT, BACKLOG);
      if (fd >= 0) this.#listeners.push(this.#listen(fd, where));
      else this.#log(`the Kubernetes API is not served at ${where}: ${errnoName(fd)}`);
    }
  }

  /** Namespaces of these names are new: what listened in them is with the old ones. */
  repaired(made: readonly string[]): void {
    if (made.includes(names.fabricNetns(this.#topology.lab))) this.open();
  }

  #listen(fd: number, where: string): Server {
    const listener = createServer({ noDelay: true }, (socket) => this.#server.take(socket));
    listener.on("error", (error) => this.#log(`${where}: ${error.message}`));
    return listener.listen({ fd });
  }
}
