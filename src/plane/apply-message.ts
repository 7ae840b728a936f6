/**
 * Applies one message of the main thread to the plane's tables. Cold, in the worker, between two batches. Of several
 * engines on the same tables the keeper applies all, before any other one: what it changes of the tables they have in
 * common it changes for all, and the others bring what each has for itself to the same state.
 */

import type { IoKind } from "../base/addon.ts";
import { createBpfProgram } from "../base/bpf-program.ts";
import { putMembersInForce } from "../dataplane/change/mesh.ts";
import { bindPorts, putInForce } from "../dataplane/change/policy.ts";
import { createPrefixSet } from "../dataplane/change/prefix-set.ts";
import { setRates } from "../dataplane/change/rates.ts";
import { createRoutes } from "../dataplane/change/routes.ts";
import { addPart, beginDrop } from "../dataplane/change/service-endpoints.ts";
import * as serviceChange from "../dataplane/change/services.ts";
import { createVteps, findRoutes } from "../dataplane/change/vteps.ts";
import { Event } from "../dataplane/counters.ts";
import * as engine from "../dataplane/engine.ts";
import type { Polling, PortRole } from "../dataplane/port.ts";
import { announceNextHops, announceNode, announceToFabric } from "../dataplane/send/announce.ts";
import { sendWaiting } from "../dataplane/send/link.ts";
import { addOwner, removeOwner } from "../dataplane/send/port-table.ts";
import { flush } from "../dataplane/send/tx-queue.ts";
import type { ConfigChange, NodeConfig } from "../dataplane/spec/node-config.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { TUPLE_WORDS } from "../dataplane/table/connection/tuple.ts";
import * as localAddresses from "../dataplane/table/local-addresses.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import type { Tables } from "../dataplane/tables.ts";
import { RecordRing } from "../dataplane/trace/record-ring.ts";
import type { PlaneMessage, PortMessage } from "./messages.ts";

const NONE = new Int32Array(0);

export function applyMessage(plane: engine.Engine, message: PlaneMessage, polling: Polling): void {
  const t = plane.tables;
  if (plane.isKeeper) t.counters.events[Event.COMMITS]++;
  switch (message.type) {
    case "attach":
      attach(plane, message.port, polling);
      return;
    case "detach":
      if (plane.ports.fd[message.id] >= 0) polling.remove(plane.ports.fd[message.id]);
      engine.detach(plane, message.id);
      return;
    case "join":
      plane.ports.joins[message.port] = message.on;
      return;
    case "rates":
      setRates(plane.tx, message.port, message.rates, plane.isKeeper);
      return;
    case "stations":
      changeStations(plane, message);
      return;
    case "node":
    case "announced":
      changeNode(plane, message);
      return;
    case "tunnel-gso":
      plane.ports.tunnelFd = message.fd;
      return;
    case "neighbors":
      followNeighbors(t, message);
      return;
    case "config":
      configure(t.config, message.config);
      return;
    case "policy":
      putInForce(t, plane.isKeeper ? message.parts : { ...message.parts, changes: NONE, recycled: [] });
      return;
    case "mesh":
      followMesh(plane, message);
      return;
    case "routes":
      setRoutes(t, message);
      return;
    case "services":
    case "endpoints":
    case "complete":
      changeServices(t, message);
      return;
    case "conntrack":
      for (const [word, value] of message.words) t.conntrack.header[word] = value;
      return;
    case "watch":
      watch(plane, message);
      return;
    case "conntrack-delete":
      deleteConnections(plane, message.slots, message.tuples);
      return;
    case "stop": // the thread's own
  }
}

function changeServices(
  { services }: Tables,
  message: Extract<PlaneMessage, { type: "services" | "endpoints" | "complete" }>,
): void {
  if (message.type === "services") serviceChange.update(services, message.update);
  else if (message.type === "endpoints") addPart(services, message.part);
  else beginDrop(services);
}

function followMesh(
  { tables: t, isKeeper }: engine.Engine,
  message: Extract<PlaneMessage, { type: "mesh" }>,
): void {
  configure(t.config, { mesh: message.config });
  putMembersInForce(t, message.parts, isKeeper);
}

function setRoutes(t: Tables, message: Extract<PlaneMessage, { type: "routes" }>): void {
  t.vteps = createVteps(message.vteps);
  t.routes = createRoutes(message.routes);
  findRoutes(t.vteps, t.routes);
}

function changeNode(
  plane: engine.Engine,
  message: Extract<PlaneMessage, { type: "node" | "announced" }>,
): void {
  if (message.type === "node") configureNode(plane, message);
  else changeAnnounced(plane, message);
}

function configureNode(plane: engine.Engine, message: Extract<PlaneMessage, { type: "node" }>): void {
  const t = plane.tables;
  const { router } = t.config;
  const isFirst = (router.macHi | router.macLo) === 0;
  configure(t.config, message.config);
  setAddresses(t, message);
  bindPorts(t);
  if (isFirst && plane.isKeeper && router.hostPort >= 0) announceToHost(t, router.hostPort);
}

function changeAnnounced(plane: engine.Engine, message: Extract<PlaneMessage, { type: "announced" }>): void {
  const t = plane.tables;
  if (message.addresses !== undefined)
    t.addresses.announced = new localAddresses.LocalAddresses(message.addresses);
  if (!plane.isKeeper) return;
  for (const { w0, w1, w2, w3 } of message.told) {
    if (localAddresses.has(t.addresses.announced, w0, w1, w2, w3)) announceToFabric(t, w0, w1, w2, w3);
  }
  flush(t.tx);
}

/** Pods are told when their addresses are known; host0 has those of the node, which it is not to hear of. */
function announceToHost(t: Tables, port: number): void {
  const { v4, v60, v61, v62, v63 } = t.config.router;
  const mac = { macHi: t.ports.macHi[port], macLo: t.ports.macLo[port] };
  if (v4 !== 0) announceNextHops(t, { w0: 0, w1: 0, w2: 0xffff, w3: v4, ...mac, port });
  if ((v60 | v61) !== 0) announceNextHops(t, { w0: v60, w1: v61, w2: v62, w3: v63, ...mac, port });
  flush(t.tx);
}

/** What the kernel knows need not be asked for; what somebody has set is not asked for at all, until it is taken away. */
function followNeighbors(t: Tables, message: Extract<PlaneMessage, { type: "neighbors" }>): void {
  const { OVERRIDE, CREATE } = neighbor.Confirm;
  for (const { w0, w1, w2, w3 } of message.gone) {
    const slot = neighbor.find(t.fabric, w0, w1, w2, w3);
    if (slot >= 0 && t.fabric.state[slot] === neighbor.State.PERMANENT) neighbor.remove(t.fabric, slot);
  }
  for (const { w0, w1, w2, w3, macHi, macLo, isStatic } of message.known) {
    const slot = isStatic
      ? neighbor.addPermanent(t.fabric, w0, w1, w2, w3, macHi, macLo, neighbor.NO_PORT)
      : neighbor.confirm(t.fabric, w0, w1, w2, w3, macHi, macLo, t.nowMs, OVERRIDE | CREATE);
    if (slot >= 0 && neighbor.isUsable(t.fabric, slot)) sendWaiting(t, slot);
  }
  flush(t.tx);
}

function setAddresses(t: Tables, message: Extract<PlaneMessage, { type: "node" }>): void {
  t.addresses.local = new localAddresses.LocalAddresses(message.local);
  t.addresses.podSources = createPrefixSet(message.podSources);
  t.addresses.masqueradeSources = createPrefixSet(message.masqueradeSources);
  t.addresses.masqueradeExempt = createPrefixSet(message.masqueradeExempt);
  t.addresses.ownSources = createPrefixSet(message.ownSources);
  t.addresses.nodeSources = createPrefixSet(message.nodeSources);
  t.addresses.serviceRanges = createPrefixSet(message.serviceRanges);
}

/** Group by group: a message names what it sets. */
function configure(config: NodeConfig, change: ConfigChange): void {
  for (const [group, values] of Object.entries(change))
    Object.assign(config[group as keyof NodeConfig], values);
}

function changeStations(plane: engine.Engine, message: Extract<PlaneMessage, { type: "stations" }>): void {
  if (plane.isKeeper) keepStations(plane.tables, message);
  changeOwners(plane.tables, message);
  bindPorts(plane.tables);
}

function keepStations(t: Tables, message: Extract<PlaneMessage, { type: "stations" }>): void {
  for (const a of message.remove) {
    const slot = neighbor.find(t.stations, a.w0, a.w1, a.w2, a.w3);
    if (slot >= 0) neighbor.remove(t.stations, slot);
  }
  for (const s of message.add) {
    neighbor.addPermanent(t.stations, s.w0, s.w1, s.w2, s.w3, s.macHi, s.macLo, s.port);
    announceNode(t, s);
  }
  flush(t.tx);
}

function changeOwners(t: Tables, message: Extract<PlaneMessage, { type: "stations" }>): void {
  for (const a of message.remove) {
    for (let port = 0; port < t.ports.count; port++) removeOwner(t.ports, port, a.w0, a.w1, a.w2, a.w3);
  }
  for (const s of message.add) addOwner(t.ports, s.port, s.w0, s.w1, s.w2, s.w3);
}

function attach(plane: engine.Engine, port: PortMessage, polling: Polling): void {
  const device = {
    name: port.name,
    role: port.role as PortRole,
    ioKind: port.ioKind as IoKind,
    fd: port.fd,
  };
  engine.attach(plane, port.id, device, { hi: port.macHi, lo: port.macLo }, port.mtu);
  if (port.fd >= 0) polling.add(port.fd, port.id);
  bindPorts(plane.tables);
}

function watch(plane: engine.Engine, message: Extract<PlaneMessage, { type: "watch" }>): void {
  const watchers = plane.tables.watchers;
  const one = watchers.list[message.index];
  one.mode = message.mode;
  one.program = message.program === null ? null : createBpfProgram(message.program);
  if (plane.isKeeper) Object.assign(one, { remaining: message.remaining, firstId: watchers.nextId });
  one.snapLen = message.snapLen;
  one.ring = message.ring === null ? null : new RecordRing(message.ringLog2, message.ring);
  watchers.active = watchers.list.filter((w) => w.mode !== 0).length;
}

/** Deletes connections if they are still those the caller saw: a slot may have been given to another meanwhile. */
function deleteConnections(plane: engine.Engine, slots: Int32Array, tuples: Int32Array): void {
  const ct = plane.tables.conntrack;
  const key = new Int32Array(TUPLE_WORDS);
  slots.forEach((slot, i) => {
    if (ct.status[slot << 4] === 0) return;
    conntrack.loadTuple(ct, slot << 1, key);
    if (key.every((word, k) => word === tuples[i * TUPLE_WORDS + k])) conntrack.remove(ct, slot);
  });
}
