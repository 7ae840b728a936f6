// Which ports are open: those of Ingresses, by the configuration, and those of Gateways' listeners, as they come and go.
import { PodwireError } from "../../base/errors.ts";
import { keyOf } from "../../kube/objects.ts";
import type { World } from "../world.ts";
import type { Door, Port } from "./door.ts";
import { PortListener, type Secrets } from "./port-listener.ts";

interface Ports {
  readonly ingress: { readonly http?: number; readonly https?: number } | undefined;
  readonly gateways: readonly string[] | "all";
  readonly address: readonly string[];
}

interface Open {
  readonly listeners: readonly PortListener[];
  port: Port;
}

/** Protocols that are served by this file's doors. */
const PROTOCOLS: Readonly<Record<string, boolean>> = { HTTP: false, HTTPS: true, TLS: true, TCP: false };

export class Listeners {
  readonly #ports: Ports;
  readonly #door: Door;
  readonly #secrets: Secrets;
  readonly #onProblem: (line: string) => void;
  readonly #open = new Map<number, Open>();
  #isOpened = false;
  #isOpening = false;
  #isClosed = false;

  constructor(ports: Ports, door: Door, secrets: Secrets, onProblem: (line: string) => void) {
    this.#ports = ports;
    this.#door = door;
    this.#secrets = secrets;
    this.#onProblem = onProblem;
  }

  get ports(): Port[] {
    return [...this.#open.values()].map(({ port }) => port);
  }

  get connections(): { readonly port: number; readonly open: number }[] {
    return [...this.#open].map(([port, { listeners }]) => ({
      port,
      open: listeners.reduce((sum, each) => sum + each.connections, 0),
    }));
  }

  /** Rejects where one of the configured ports cannot be had. */
  async open(world: World): Promise<void> {
    this.#isOpened = true;
    for (const port of this.#wanted(world)) {
      try {
        await this.#listen(port);
      } catch (error) {
        if (port.isIngress) throw error;
        this.#onProblem((error as Error).message);
      }
    }
  }

  /** Gateways have changed. */
  async follow(world: World): Promise<void> {
    if (this.#isOpening || this.#isClosed || !this.#isOpened) return;
    this.#isOpening = true;
    const wanted = this.#wanted(world);
    for (const [number, { listeners }] of this.#open) {
      if (wanted.some((each) => each.number === number)) continue;
      this.#open.delete(number);
      for (const each of listeners) each.drain();
    }
    for (const port of wanted) {
      const known = this.#open.get(port.number);
      if (known !== undefined && known.port.isTls === port.isTls) {
        known.port = port;
        for (const each of known.listeners) each.port = port;
        continue;
      }
      if (known !== undefined) for (const each of known.listeners) each.drain();
      this.#open.delete(port.number);
      await this.#listen(port).catch((error: Error) => this.#onProblem(error.message));
    }
    this.#isOpening = false;
  }

  drain(): void {
    this.#isClosed = true;
    for (const { listeners } of this.#open.values()) for (const each of listeners) each.drain();
  }

  close(): void {
    this.#isClosed = true;
    for (const { listeners } of this.#open.values()) for (const each of listeners) each.close();
  }

  async #listen(port: Port): Promise<void> {
    const listeners: PortListener[] = [];
    for (const address of this.#ports.address) {
      const listener = new PortListener(port, this.#door, this.#secrets);
      try {
        await listener.listen(address);
        listeners.push(listener);
      } catch (cause) {
        const { code = "" } = cause as NodeJS.ErrnoException;
        if (address.includes(":") && code === "EAFNOSUPPORT") continue; // a machine without IPv6
        for (const each of listeners) each.close();
        throw new PodwireError(`${address} port ${port.number}: ${problemOf(code)}`, {
          code: "GATEWAY_LISTEN",
          cause,
        });
      }
    }
    this.#open.set(port.number, { listeners, port });
  }

  #wanted(world: World): Port[] {
    const { ingress, gateways } = this.#ports;
    const ports = new Map<number, Port>();
    const add = (
      number: number | undefined,
      isTls: boolean,
      isIngress: boolean,
      names: readonly string[],
      isStream = false,
    ): void => {
      if (number === undefined) return;
      const known = ports.get(number);
      if (known !== undefined && known.isTls !== isTls) {
        this.#onProblem(
          `port ${number} of ${names.join(", ")} is served ${known.isTls ? "with" : "without"} TLS already`,
        );
        return;
      }
      const all = [...new Set([...(known?.gateways ?? []), ...names])];
      const hasStreams = isStream || known?.hasStreams === true;
      const isOfIngress = isIngress || known?.isIngress === true;
      ports.set(number, { number, isTls, hasStreams, isIngress: isOfIngress, gateways: all });
    };
    add(ingress?.http, false, true, []);
    add(ingress?.https, true, true, []);
    for (const gateway of world.gateways()) {
      const name = keyOf(gateway);
      if (gateways !== "all" && !gateways.includes(name)) continue;
      for (const { port, protocol } of gateway.spec.listeners)
        if (PROTOCOLS[protocol] !== undefined)
          add(port, PROTOCOLS[protocol], false, [name], protocol === "TLS" || protocol === "TCP");
    }
    return [...ports.values()];
  }
}

function problemOf(code: string): string {
  if (code === "EADDRINUSE") return "somebody else has it: choose another port, or end who has it";
  if (code === "EACCES") return "is only root's, or needs CAP_NET_BIND_SERVICE: choose a port from 1024 on";
  return code === "EADDRNOTAVAIL" ? "this machine has no such address" : `cannot be opened (${code})`;
}
