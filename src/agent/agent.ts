/**
 * One node's agent: reads its configuration, opens the node's ports, starts the data plane, follows the objects and
 * tells the plane what they mean. Wiring only; what anything means is decided in control, compile and the plane.
 *
 *   source ─▶ ObjectGraph ─▶ compile ─▶ messages ─▶ worker          API ◀─ shared tables
 */
import type { Server } from "node:http";
import { startApi } from "../api/api.ts";
import { policyTotals } from "../api/show-policies.ts";
import { flannelAnnotations } from "../compile/flannel.ts";
import { compilePods } from "../compile/local-pods.ts";
import { type NodeTopology, podMtu, whyUnserved } from "../compile/node.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { loadNative, type Native } from "../native/binding.ts";
import { defaultCpuLatencyUs } from "../plane/cpu-latency.ts";
import { InlinePlane } from "../plane/inline-plane.ts";
import type { PlaneMessage } from "../plane/messages.ts";
import { MANY_SERVICES, NodeMessages, type NodePorts } from "../plane/node-messages.ts";
import type { Plane } from "../plane/plane.ts";
import { PlaneHandle } from "../plane/plane-handle.ts";
import { monotonicMs } from "../plane/plane-memory.ts";
import { LastingRuleIds } from "../plane/rule-ids.ts";
import { LastingServiceIds } from "../plane/service-ids.ts";
import { collectYoung } from "../plane/warm-up.ts";
import { type Changes, ObjectGraph } from "../watch/desired-state.ts";
import type { ObjectSource } from "../watch/source.ts";
import { Attachments, datagramQueueOf } from "./attachments.ts";
import { conntrackSettings } from "./conntrack-settings.ts";
import { DatagramJoining } from "./datagram-joining.ts";
import { enterForPcap, NodeNetwork } from "./machine/node-network.ts";
import { GiveBack } from "./memory/give-back.ts";
import { NodeCni } from "./node-cni.ts";
import { nodeListeners } from "./node-listener.ts";
import { NodeServers } from "./node-servers.ts";
import { objectSource } from "./object-source.ts";
import { planeSizes, SERVICES_LOG2, workersOf } from "./plane-sizes.ts";
import { agentStatus, objectCounts } from "./tell/agent-status.ts";
import { apiContext } from "./tell/api-context.ts";
import { deviceStates } from "./tell/device-states.ts";
import { KindVersions } from "./tell/kind-versions.ts";
import { NodeReporting } from "./tell/node-report.ts";
import { Probes } from "./tell/probes.ts";
import { TunnelBundles } from "./tunnel-bundles.ts";
import { TunnelGso } from "./tunnel-gso.ts";

const ROOM = `it has room for ${2 ** SERVICES_LOG2} addresses and ${2 ** SERVICES_LOG2} endpoints: remove some`;

export class Agent {
  readonly config: AgentConfig;
  readonly #text: ManifestText; // what the configuration was read from
  readonly graph = new ObjectGraph();
  readonly #native: Native;
  readonly #plane: Plane;
  /** The same plane when it runs on this thread, for libpcap. */
  readonly #inline: InlinePlane | undefined;
  readonly #attachments: Attachments;
  readonly #messages: NodeMessages;
  readonly #servers: NodeServers;
  readonly #network: NodeNetwork;
  readonly #joining: DatagramJoining;
  readonly #tunnelBundles: TunnelBundles;
  readonly #tunnelGso: TunnelGso;
  readonly #cni: NodeCni | undefined;
  readonly #probes: Probes;
  readonly #source: ObjectSource;
  readonly #reporting: NodeReporting;
  readonly #giveBack = new GiveBack(loadNative());
  #server: Server | undefined;
  #ports: NodePorts = { uplink: -1, host: -1, mtu: 1500 };
  #synced = false;
  #queue: Promise<void> = Promise.resolve();
  #scheduled = false;
  #lastApplyMs = 0;
  readonly #versions = new KindVersions();
  /** When the plane began to work with the latest change, CLOCK_MONOTONIC. */
  #appliedMs = 0;
  #refused = 0;
  #toldOfNodes: readonly string[] = [];
  #problem = "";
  /** Why the source cannot be read for now; "": it can. */
  #sourceProblem = "";
  /** Called when the agent cannot go on. */
  onFatal: (error: Error) => void = () => {};
  /** Called when objects cannot be read for the moment; what is known stays in force. */
  onProblem: (error: Error) => void = () => {};
  onNote: (text: string) => void = () => {};

  constructor(config: AgentConfig, text: ManifestText) {
    this.config = config;
    this.#text = text;
    this.#source = objectSource(config);
    this.#reporting = new NodeReporting(this.#source);
    this.#native = loadNative();
    const sizes = planeSizes(config);
    if (config.uplink.driver === "pcap") {
      this.#inline = new InlinePlane(this.#native, sizes);
      this.#plane = this.#inline;
    } else {
      this.#plane = new PlaneHandle(this.#native, {
        ...{ sizes, nice: config.nice, workers: workersOf(config) },
        spinUs: config.spinMicroseconds,
        pauseUs: config.pauseMicroseconds,
        cpuLatencyUs: config.cpuLatencyMicroseconds ?? defaultCpuLatencyUs(),
        onExit: (error) => this.onFatal(error),
      });
    }
    this.#attachments = new Attachments(this.#native, this.#plane, datagramQueueOf(config));
    const { ids, ruleIds } = this.#plane.tables.durable;
    const lasting = { services: new LastingServiceIds(ids), rules: new LastingRuleIds(ruleIds) };
    this.#messages = new NodeMessages(config, this.graph, {}, lasting);
    this.#servers = new NodeServers({
      nodeName: config.nodeName,
      proxy: config.proxy,
      open: nodeListeners(this.#native, config.netns),
      sources: {
        plane: () => ({
          tables: this.#plane.tables,
          ports: this.#attachments.list(),
          missed: this.#attachments.missed(),
          internalErrors: this.#plane.errors,
          refusedServicePorts: this.#plane.refused.count,
          heldMs: this.#plane.heldMs,
          tunnelBundles: this.#tunnelBundles.state.startsWith("on"),
          tunnelGso: this.#tunnelGso.state === "on",
        }),
        services: () => this.#messages.services.counts,
        policies: () => policyTotals(this.#plane.tables, this.#messages.policies),
        objects: () => objectCounts(this.graph),
        ready: () => this.ready,
        source: () => this.#source.health,
      },
    });
    this.#servers.onProblem = (error) => this.onProblem(error);
    this.#joining = new DatagramJoining(this.#native, this.#plane, () => this.#attachments.joiningPorts());
    this.#joining.onNote = (text) => this.onNote(text);
    this.#attachments.onNote = (text) => this.onNote(text);
    this.#tunnelBundles = new TunnelBundles(this.#native, this.#plane, config);
    this.#tunnelGso = new TunnelGso(this.#native, this.#plane, config);
    for (const part of [this.#tunnelBundles, this.#tunnelGso]) part.onNote = (text) => this.onNote(text);
    this.#cni = this.#nodeCni();
    this.#probes = this.#makeProbes();
    this.#network = this.#nodeNetwork();
  }

  /** Opens the ports, the API and the source. Throws when a device or the socket is not to be had. */
  async start(): Promise<void> {
    const { config } = this;
    // The plane's thread starts meanwhile, a tenth of a second: objects are read then, and applied when it is there.
    const ports = this.#openPorts();
    this.#queue = ports.catch(() => {}); // told below
    this.#server = await startApi(
      apiContext({
        ...{ config, text: this.#text, graph: this.graph, plane: this.#plane, messages: this.#messages },
        ...{ attachments: this.#attachments, probes: this.#probes, cni: this.#cni },
        tunnelGso: () => this.#tunnelGso.state === "on",
        status: () => this.#status(),
      }),
      config.socket,
    );
    this.#servers.start();
    await this.#cni?.start(ports);
    this.#source.start({
      events: (events, synced) => {
        this.#sourceProblem = "";
        this.#servers.events(events);
        if (events.length > 0) this.#giveBack.changed();
        for (const event of events) {
          this.graph.onEvent(this.#cni?.merged(event) ?? event);
          this.#versions.saw(event.object);
        }
        if (synced) this.#synced = true;
        if (this.#synced) this.#servers.queued();
        this.#schedule();
      },
      problem: (error) => {
        this.#sourceProblem = error.message;
        this.onProblem(error);
      },
      note: (text) => this.onNote(text),
    });
    await ports;
  }

  async #openPorts(): Promise<void> {
    const { config } = this;
    await this.#network.prepare();
    const uplink = await this.#openUplink();
    const host = await this.#attachments.openHost(config.netns, config.host.interface);
    await this.#tunnelBundles.begin();
    await this.#plane.apply({ type: "conntrack", words: conntrackSettings(config) });
    this.#network.opened(uplink.fd);
    this.#ports = { uplink: uplink.id, host: host.id, mtu: uplink.mtu, ...this.#network.machine };
  }

  /** Devices that are made and closed again keep this thread for a tenth of a second: packets do not wait for it. */
  #tryTunnel(): void {
    this.#tunnelBundles.try();
    this.#tunnelGso.begin();
  }

  #makeProbes(): Probes {
    return new Probes(this.#native, this.config, {
      state: this.graph,
      topology: () => this.#messages.topology,
      mtu: () => this.#ports.mtu,
      ports: this.#attachments,
    });
  }

  #nodeNetwork(): NodeNetwork {
    return new NodeNetwork(this.#native, this.config, this.#plane.tables, {
      problem: (error) => this.onProblem(error),
      note: (text) => this.onNote(text),
      fatal: (error) => this.onFatal(error),
      tell: (message) => void this.#plane.apply(message).catch(() => {}), // a plane that ends is told elsewhere
      changed: () => {
        this.#ports = { ...this.#ports, ...this.#network.machine };
        this.#schedule();
      },
    });
  }

  #nodeCni(): NodeCni | undefined {
    const { config, graph } = this;
    if (config.cni === null) return undefined;
    return new NodeCni(config, config.cni.leaseFile, {
      state: graph,
      mtu: () => this.#ports.mtu,
      topology: () => this.#messages.topology,
      settings: () => this.#messages.services.settings,
      problem: () => (this.#synced ? this.#problem : "objects are not there yet"),
      follow: (event) => {
        graph.onEvent(event);
        this.#schedule();
        return this.#queue;
      },
      portError: (key) => this.#attachments.list().find(({ pod }) => pod === key)?.error,
      note: (text) => this.onNote(text),
    });
  }

  #openUplink(): ReturnType<Attachments["openUplink"]> {
    const { netns, uplink } = this.config;
    if (this.#inline === undefined)
      return this.#attachments.openUplink(netns, uplink.interface, this.#network.isShared);
    enterForPcap(this.#native, netns);
    return this.#attachments.openPcapUplink(this.#inline, uplink.interface);
  }

  async stop(): Promise<void> {
    await this.#reporting.ends();
    this.#source.close();
    this.#server?.close();
    this.#server?.closeAllConnections();
    await this.#queue;
    await this.#servers.close();
    await this.#network.remove();
    this.#joining.close();
    await this.#tunnelBundles.close();
    await this.#tunnelGso.close();
    await this.#plane.stop();
    this.#attachments.close();
  }

  /**
   * Events that come together are applied together; a change waits for the one before it, never for a timer. Kinds come
   * by connections of their own: of a Service and its slices, which were written together, one is there a turn before
   * the other.
   */
  #schedule(): void {
    if (this.#scheduled || !this.#synced) return;
    this.#scheduled = true;
    this.#queue = this.#queue.then(async () => {
      await nextTurn();
      await nextTurn();
      this.#scheduled = false;
      if (this.#ports.uplink < 0) return; // it will not start
      try {
        await this.#apply(this.graph.take());
      } catch (error) {
        this.onFatal(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  async #apply(changes: Changes): Promise<void> {
    const started = performance.now();
    const applied = this.#versions.begin();
    this.#servers.applying();
    const concernsPods = changes.pods.size > 0 || changes.nodes.size > 0;
    // Of now: a pod that comes meanwhile is opened by the next change, when its policies are in the plane.
    const pods = concernsPods ? compilePods(this.graph, this.config.nodeName) : [];
    for (const message of await this.#compile(changes)) {
      await this.#plane.apply(message);
      this.#network.told(message);
    }
    const appliedMs = monotonicMs();
    this.#checkRoom();
    const { topology, services } = this.#messages;
    await this.#network.sync(topology, services.settings, changes.nodes.size > 0);
    const seconds = (performance.now() - started) / 1000;
    await this.#servers.applied(this.graph, changes, this.#messages.services.settings, seconds);
    this.#problem = whyUnserved(this.config.nodeName, this.graph, topology !== undefined);
    this.#tellOfNodes(topology);
    if (concernsPods) await this.#attachments.sync(pods.filter((pod) => pod.netns !== ""));
    this.#joining.start(this.config.joinDatagrams);
    if (this.#appliedMs === 0) {
      this.#tryTunnel();
      if ("kubernetes" in this.config.source) this.#giveBack.start();
    }
    if (changes.services.size >= MANY_SERVICES) collectYoung();
    this.#lastApplyMs = performance.now() - started;
    applied();
    this.#appliedMs = appliedMs;
  }

  /** Servers and the API have their turn while many services are compiled: liveness probes do not wait for it. */
  async #compile(changes: Changes): Promise<PlaneMessage[]> {
    const steps = this.#messages.steps(this.graph, changes, this.#ports);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await nextTurn();
    }
  }

  /** Says once that services do not fit, and once more when there are more of them. */
  #checkRoom(): void {
    const { count, id } = this.#plane.refused;
    if (count > this.#refused) {
      const name = this.#messages.services.nameOf(id) ?? "";
      this.onProblem(new Error(`${count} service ports do not fit the data plane (${name}): ${ROOM}`));
    }
    this.#refused = count;
  }

  /** Of the own one to the others, of others to whoever reads the log. */
  #tellOfNodes(topology: NodeTopology | undefined): void {
    const { config } = this;
    const own = topology?.own;
    const mtu = podMtu(config, own?.addresses ?? [], this.#ports.mtu);
    const node = this.graph.nodes.get(config.nodeName);
    const ends = own === undefined || !config.flannelAnnotations ? {} : flannelAnnotations(node, own, config);
    this.#reporting.applied(this.#problem, mtu, ends);
    const problems = [this.#problem, ...this.#messages.problems, ...(this.#cni?.strays ?? [])];
    for (const each of problems) if (each !== "" && !this.#toldOfNodes.includes(each)) this.onNote(each);
    this.#toldOfNodes = problems;
  }

  get ready(): boolean {
    const isTold = this.#appliedMs > 0 && this.#problem === ""; // pods were asked for, too
    return isTold && this.#attachments.complete;
  }

  #status(): Record<string, unknown> {
    return {
      ...agentStatus({
        node: this.config.nodeName,
        ready: this.ready,
        problem: this.#problem,
        sourceProblem: this.#sourceProblem,
        complaints: [...this.#messages.problems, this.#network.problem, ...(this.#cni?.complaints ?? [])],
        source: this.#source.health,
        ports: this.#attachments.list(),
        objects: objectCounts(this.graph),
        internalErrors: this.#plane.errors,
        refusedServicePorts: this.#plane.refused.count,
        workers: workersOf(this.config),
        ...this.#network.status,
        tunnelBundles: this.#tunnelBundles.state,
        tunnelGso: this.#tunnelGso.state,
        datagramJoining: this.#joining.problem === "" ? "on" : `off: ${this.#joining.problem}`,
        devices: deviceStates(
          this.#native,
          this.config.netns,
          this.#attachments,
          this.#plane.tables.counters,
        ),
        lastApplyMs: this.#lastApplyMs,
      }),
      // Objects of files have no versions of one count.
      ...("kubernetes" in this.config.source && {
        appliedVersions: this.#versions.applied,
        appliedMonotonicMs: this.#appliedMs,
      }),
    };
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
