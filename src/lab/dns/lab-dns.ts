// The DNS of a lab: its objects, its pod's configuration, and whoever asks the machine's resolvers for it.
import type { Cluster } from "../../cluster/cluster.ts";
import { hostResolvers } from "../../dns/host-resolvers.ts";
import { messageOf } from "../errors.ts";
import { type LabPaths, writeAtomically } from "../state-dir.ts";
import type { Topology } from "../topology.ts";
import { applyDns, dnsConfiguration } from "./dns-objects.ts";
import { type DnsRelay, startDnsRelay } from "./dns-relay.ts";

interface Options {
  readonly topology: Topology;
  readonly paths: LabPaths;
  readonly cluster: Cluster;
  /** File of the command line's main program. */
  readonly program: string;
}

export class LabDns {
  readonly #options: Options;
  #relay: DnsRelay | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Names that it cannot have are no reason not to come up: somebody's own Service may be at that address. */
  async start(log: (line: string) => void): Promise<void> {
    const { topology, paths, cluster, program } = this.#options;
    const { dns } = topology;
    if (dns === null || dns === undefined) return; // undefined: of a lab that an older podwire made
    try {
      const configuration = dnsConfiguration(topology, dns, paths);
      await writeAtomically(paths.dnsConfig, JSON.stringify(configuration)); // JSON is YAML
      if (dns.forward === "host") this.#relay = await startDnsRelay(paths.dns, hostResolvers().servers);
      const command = [process.execPath, program, "dns", "--config", paths.dnsConfig];
      applyDns(cluster, topology, command, configuration);
    } catch (error) {
      log(`no DNS: ${messageOf(error)}`);
    }
  }

  close(): void {
    this.#relay?.close();
  }
}
