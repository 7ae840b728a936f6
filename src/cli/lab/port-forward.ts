// podwire port-forward WORKLOAD [LOCAL:]REMOTE…: ports of this machine that lead to a pod's own loopback, without the
// data path in between: what listens on 127.0.0.1 there is reached as well. Of a cluster that is named by a kubeconfig by
// its API.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { parseIp } from "../../base/ip.ts";
import type { Pod, Service } from "../../kube/objects.ts";
import { connectInside } from "../../lab/pod/stream/pod-connection.ts";
import { checkPrivileges } from "../../lab/preconditions.ts";
import type { ApiClient } from "../api/api-client.ts";
import { listKind } from "../api/list-kind.ts";
import { addCluster, clusterApi } from "../api/open-api.ts";
import { type PodConnection, PodPorts } from "../api/pod-ports.ts";
import { globals, note, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import type { ObjectHolder } from "../nodes/nodes.ts";
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
  const command = program
    .command("port-forward <workload> <ports...>")
    .description("ports of this machine that lead into a pod, until Ctrl-C")
    .usage("POD | KIND/NAME [LOCAL:]REMOTE… [-n NAMESPACE] [--address ADDRESS,…]")
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option("--address <addresses>", "where to listen: addresses, or localhost", "localhost")
    .addHelpText("after", EXAMPLES);
  addCluster(command).action(async (workload: string, words: string[], flags: Flags, self: Command) => {
    const ports = words.map(forwardedPort);
    const addresses = addressesOf(flags.address);
    const api = await clusterApi(self);
    const { pod, wanted, open } = await (api === undefined
      ? ofLab(self, workload, ports, flags)
      : ofCluster(api, workload, ports, flags));
    const target = await open();
    await forward(target, pod.metadata.name, wanted, addresses);
  });
}

interface Chosen {
  readonly pod: Pod;
  readonly wanted: Wanted[];
  open(): Promise<Target>;
}

async function ofLab(self: Command, workload: string, ports: ForwardedPort[], flags: Flags): Promise<Chosen> {
  checkPrivileges(`port-forward ${workload}`);
  const all = await openNodes(globals(self));
  const chosen = await choose(all, workload, ports, flags.namespace);
  return { ...chosen, open: async () => new LabTarget(all.podNetns(chosen.pod)) };
}

async function ofCluster(
  api: ApiClient,
  workload: string,
  ports: ForwardedPort[],
  flags: Flags,
): Promise<Chosen> {
  const { namespace } = flags;
  const holder: ObjectHolder = { list: (word, of) => listKind(api, word, of) };
  const chosen = await choose(holder, workload, ports, namespace);
  const place = { resource: await api.resource("pods"), namespace, name: chosen.pod.metadata.name };
  return { ...chosen, open: () => PodPorts.open(api, place) };
}

async function choose(
  holder: ObjectHolder,
  workload: string,
  ports: readonly ForwardedPort[],
  namespace: string,
): Promise<{ pod: Pod; wanted: Wanted[] }> {
  const pod = await findPod(holder, workload, namespace);
  const { phase } = pod.status;
  if (phase !== "Running")
    throw new CliError(`unable to forward port because pod is not running. Current status=${phase}`);
  const service = await serviceOf(workload, namespace, (word) => listObjects(holder, word, namespace));
  return { pod, wanted: ports.map((port) => ({ ...port, number: remotePort(port.remote, pod, service) })) };
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
  /** Rejects, or says later, with one line. */
  connect(port: number): Promise<PodConnection> | PodConnection;
  /** When nothing leads to the pod any more. */
  onLost(call: () => void): void;
  close(): void;
}

class LabTarget implements Target {
  readonly #netns: string;
  #watch: NodeJS.Timeout | undefined;

  constructor(netns: string) {
    this.#netns = netns;
  }

  async connect(port: number): Promise<PodConnection> {
    return { stream: await connectInside(this.#netns, port), problem: Promise.resolve(undefined) };
  }

  /** A pod's namespace goes a moment after its programs. */
  onLost(call: () => void): void {
    this.#watch = setInterval(() => {
      if (!existsSync(this.#netns)) call();
    }, LOOK_MS);
  }

  close(): void {
    clearInterval(this.#watch);
  }
}

type Wanted = ForwardedPort & { number: number };

/** Until a signal ends it, or the pod is gone. */
async function forward(
  target: Target,
  pod: string,
  ports: readonly Wanted[],
  addresses: readonly ListenAt[],
): Promise<void> {
  const forwarding = new Forwarding(target, pod);
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
  #lose: (error: Error) => void = () => {};

  constructor(target: Target, pod: string) {
    this.#target = target;
    this.over = new Promise((resolve, reject) => {
      this.#lose = reject;
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    });
    this.over.catch(() => {}); // it may be lost before anybody waits
    target.onLost(() => this.#lose(new CliError(`lost connection to pod ${pod}`)));
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
    this.#target.close();
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Each direction ends by itself: whoever has sent all may still be waiting for the answer. */
  async #serve(port: Wanted, local: number, socket: Socket): Promise<void> {
    const told = (why: string): void => {
      socket.destroy();
      note(`an error occurred forwarding ${local} -> ${port.number}: ${why}`);
    };
    this.#sockets.add(socket);
    socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
    try {
      await print(`Handling connection for ${local}`);
      const { stream: inside, problem } = await this.#target.connect(port.number);
      void problem.then((why) => why !== undefined && told(why));
      await Promise.all([
        pipeline(socket, inside).catch(() => inside.destroy()),
        pipeline(inside, socket).catch(() => inside.destroy()),
      ]);
    } catch (error) {
      told((error as Error).message);
    }
  }
}
