// UDP ports of Gateways' listeners: opened and closed as they come and go.
import { createSocket, type Socket } from "node:dgram";
import type { Ip } from "../../base/ip.ts";
import type { ConnectionDecision } from "../../l7/connection.ts";
import { type UdpCounts, UdpFront, type UdpOptions } from "./udp-front.ts";

export interface UdpPort {
  readonly number: number;
  /** "namespace/name" */
  readonly gateways: readonly string[];
}

export interface UdpPortsOptions extends Omit<UdpOptions, "decide"> {
  readonly address: readonly string[];
  decide(port: UdpPort, client: Ip | undefined): ConnectionDecision;
  onProblem(line: string): void;
}

interface Open {
  port: UdpPort;
  readonly fronts: UdpFront[];
}

export class UdpPorts {
  readonly #options: UdpPortsOptions;
  readonly #open = new Map<number, Open>();

  constructor(options: UdpPortsOptions) {
    this.#options = options;
  }

  get counts(): (UdpCounts & { readonly port: number })[] {
    return [...this.#open].flatMap(([port, { fronts }]) => fronts.map(({ counts }) => ({ port, ...counts })));
  }

  /** These are wanted now. */
  async follow(wanted: readonly UdpPort[]): Promise<void> {
    for (const [number, { fronts }] of this.#open) {
      if (wanted.some((each) => each.number === number)) continue;
      this.#open.delete(number);
      for (const each of fronts) each.close();
    }
    for (const port of wanted) {
      const known = this.#open.get(port.number);
      if (known !== undefined) known.port = port;
      else await this.#listen(port);
    }
    this.changed();
  }

  /** Objects have changed: flows whose endpoint is gone go elsewhere. */
  changed(): void {
    for (const { fronts } of this.#open.values()) for (const each of fronts) each.changed();
  }

  close(): void {
    for (const { fronts } of this.#open.values()) for (const each of fronts) each.close();
    this.#open.clear();
  }

  async #listen(port: UdpPort): Promise<void> {
    const open: Open = { port, fronts: [] };
    this.#open.set(port.number, open); // at once: who asks meanwhile finds it
    for (const address of this.#options.address) {
      const socket = await bound(address, port.number);
      if (typeof socket === "string") {
        if (!address.includes(":") || socket !== "EAFNOSUPPORT")
          this.#options.onProblem(`${address} UDP port ${port.number} cannot be opened (${socket})`);
        continue;
      }
      const decide = (client: Ip | undefined): ConnectionDecision => this.#options.decide(open.port, client);
      open.fronts.push(new UdpFront(socket, { ...this.#options, decide }));
      if (this.#open.get(port.number) !== open) open.fronts.pop()?.close(); // no longer wanted
    }
    if (open.fronts.length === 0) this.#open.delete(port.number);
  }
}

/** A text: the error's code. */
function bound(address: string, port: number): Promise<Socket | string> {
  return new Promise((resolve) => {
    const isV6 = address.includes(":");
    const socket = createSocket({ type: isV6 ? "udp6" : "udp4", ...(isV6 && { ipv6Only: true }) });
    const failed = (error: NodeJS.ErrnoException): void => {
      socket.close();
      resolve(error.code ?? error.message);
    };
    socket.once("error", failed);
    socket.bind(port, address, () => {
      socket.off("error", failed);
      resolve(socket);
    });
  });
}
