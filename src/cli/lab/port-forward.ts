// podwire port-forward WORKLOAD [LOCAL:]REMOTE…: ports of this machine that lead to a pod's own loopback, without the
// data path in between: what listens on 127.0.0.1 there is reached as well.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { parseIp } from "../../base/ip.ts";
import type { Pod, Service } from "../../kube/objects.ts";
import { connectInside } from "../../lab/pod/stream/pod-connection.ts";
import { checkPrivileges } from "../../lab/preconditions.ts";
import { globals, note, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { findPod, listObjects } from "../objects/workload.ts";
import { type ForwardedPort, forwardedPort, remotePort } from "./forwarded-ports.ts";

interface Flags {
  namespace: string;
  address: string;
}

const EXAMPLES = `
Examples:
  podwire port-forward pod/web-1 8080:80
  podwire port-forward svc/web :80
  podwire port-forward deploy/web 8080:http 9090 --address 0.0.0.0`;
const LOOK_MS = 500;
const SERVICE_WORDS = ["service", "services", "svc"];

export function register(program: Command): void {
  program
    .command("port-forward <workload> <ports...>")
    .description("ports of this machine that lead into a pod, until Ctrl-C")
    .usage("POD | KIND/NAME [LOCAL:]REMOTE… [-n NAMESPACE] [--address ADDRESS,…]")
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option("--address <addresses>", "where to listen: addresses, or localhost", "localhost")
    .addHelpText("after", EXAMPLES)
    .action(async (workload: string, words: string[], flags: Flags, command: Command) => {
      const ports = words.map(forwardedPort);
      const addresses = addressesOf(flags.address);
      checkPrivileges(`port-forward ${workload}`);
      const all = await openNodes(globals(command));
      const pod = await findPod(all, workload, flags.namespace);
      if (pod.status.phase !== "Running")
        throw new CliError(
          `unable to forward port because pod is not running. Current status=${pod.status.phase}`,
        );
      const service = await serviceOf(workload, flags.namespace, (word) =>
        listObjects(all, word, flags.namespace),
      );
      const target = { pod, netns: all.podNetns(pod) };
      const wanted = ports.map((port) => ({ ...port, number: remotePort(port.remote, pod, service) }));
      await forward(target, wanted, addresses);
    });
}

async function serviceOf(
  workload: string,
  namespace: string,
  list: (word: string) => Promise<{ items: { metadata: { name: string } }[] }>,
): Promise<Service | undefined> {
  const [word, name] = workload.split("/", 2);
  if (name === undefined || !SERVICE_WORDS.includes(word.toLowerCase())) return undefined;
  const { items } = await list("services");
  const found = items.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new CliError(`${workload}: not found in namespace ${namespace}`);
  return found as Service;
}

interface ListenAt {
  address: string;
  /** One of the two of localhost may be missing on a machine. */
  isOptional: boolean;
}

function addressesOf(text: string): ListenAt[] {
  return text.split(",").flatMap((word): ListenAt[] => {
    if (word === "localhost") return ["127.0.0.1", "::1"].map((address) => ({ address, isOptional: true }));
    if (parseIp(word) === null) throw usageError(`--address ${word}: use addresses, or localhost`);
    return [{ address: word, isOptional: false }];
  });
}

interface Target {
  pod: Pod;
  netns: string;
}

type Wanted = ForwardedPort & { number: number };

/** Until a signal ends it, or the pod is gone. */
async function forward(
  target: Target,
  ports: readonly Wanted[],
  addresses: readonly ListenAt[],
): Promise<void> {
  const forwarding = new Forwarding(target);
  try {
    for (const port of ports) await forwarding.listen(port, addresses);
    await forwarding.over;
  } finally {
    forwarding.close();
  }
}

class Forwarding {
  readonly over: Promise<void>;
  readonly #target: Target;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #watch: NodeJS.Timeout;
  #lose: (error: Error) => void = () => {};

  constructor(target: Target) {
    this.#target = target;
    this.over = new Promise((resolve, reject) => {
      this.#lose = reject;
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    });
    this.over.catch(() => {}); // it may be lost before anybody waits
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
  }

  /** A pod's namespace goes a moment after its programs. */
  #look(): void {
    const { pod, netns } = this.#target;
    if (!existsSync(netns)) this.#lose(new CliError(`lost connection to pod ${pod.metadata.name}`));
  }

  async listen(port: Wanted, addresses: readonly ListenAt[]): Promise<void> {
    const problems: string[] = [];
    let { local } = port;
    let count = 0;
    for (const { address, isOptional } of addresses) {
      const server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(port, local, socket));
      try {
        server.listen({ host: address, port: local });
        await once(server, "listening");
      } catch (error) {
        problems.push(`${address}:${local}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
        if (isOptional) continue;
        count = 0;
        break;
      }
      count++;
      this.#servers.push(server);
      local = (server.address() as AddressInfo).port; // the same on all addresses
      const shown = address.includes(":") ? `[${address}]` : address;
      await print(`Forwarding from ${shown}:${local} -> ${port.number}`);
    }
    if (count === 0) throw new CliError(`unable to listen on port ${port.local}: ${problems.join(", ")}`);
  }

  close(): void {
    clearInterval(this.#watch);
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Each direction ends by itself: whoever has sent all may still be waiting for the answer. */
  async #serve(port: Wanted, local: number, socket: Socket): Promise<void> {
    const { netns } = this.#target;
    this.#sockets.add(socket);
    socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
    try {
      await print(`Handling connection for ${local}`);
      const inside = await connectInside(netns, port.number);
      await Promise.all([
        pipeline(socket, inside).catch(() => inside.destroy()),
        pipeline(inside, socket).catch(() => inside.destroy()),
      ]);
    } catch (error) {
      socket.destroy();
      note(`an error occurred forwarding ${local} -> ${port.number}: ${(error as Error).message}`);
    }
  }
}
