// What the data plane does with an object, as its agents tell it: a section after what kubectl tells.

import type { KubeObject, Pod, Service } from "../../../kube/objects.ts";
import { serviceChain } from "../../../kubeproxy/words/kube-chains.ts";
import { TabWriter } from "./tabs.ts";

type Row = Readonly<Record<string, unknown>>;

/** Of one node; what was not asked for is left out. */
export interface PlaneFacts {
  readonly node: string;
  readonly services?: readonly Row[];
  readonly policies?: readonly Row[];
  readonly ports?: readonly Row[];
  readonly vteps?: readonly Row[];
  readonly drops?: readonly Row[];
  readonly counters?: readonly Row[];
  readonly connections?: readonly { readonly state?: string }[];
  readonly table?: { readonly count: number; readonly max: number };
}

const SHOWN = 3;
const TITLE = "Data Plane:";
/** Drops that a service is the reason of; a node counts them for all of its services together. */
const SERVICE_DROPS = /^service/i;

/** "": no agent has anything to say. */
export function planeText(
  object: KubeObject,
  facts: readonly PlaneFacts[],
  policies: readonly string[],
): string {
  if (facts.length === 0) return "";
  const w = new TabWriter();
  w.line(0, TITLE);
  switch (object.kind) {
    case "Service":
      serviceSection(w, object as Service, facts);
      break;
    case "Pod":
      podSection(w, object as Pod, facts[0], policies);
      break;
    case "Node":
      nodeSection(w, facts[0]);
      break;
    default:
      policySection(w, policyKey(object), facts);
  }
  return w.toString();
}

/** As an agent's tables call a policy. */
export function policyKey({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function serviceSection(w: TabWriter, { metadata, spec }: Service, facts: readonly PlaneFacts[]): void {
  const key = `${metadata.namespace}/${metadata.name}`;
  const isOwn = ({ service }: Row): boolean => service === key || String(service).startsWith(`${key}:`);
  const lines = facts.flatMap(({ node, services = [] }) =>
    services.filter(isOwn).map((row) => ({ node, text: frontendText(row) })),
  );
  table(w, ["Address", "Type", "Action", "Endpoints", "Masquerade", "Chain", "Nodes"], together(lines));
  const { sessionAffinity, sessionAffinityConfig } = spec;
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800;
  w.line(1, `Affinity:\t${sessionAffinity === "ClientIP" ? `ClientIP, ${seconds} s` : "None"}`);
  w.line(1, `Connections:\t${countsText(facts, ({ connections = [] }) => connections.length)}`);
  const drops = facts.map(({ node, drops: all = [] }) => ({
    node,
    rows: all.filter(({ reason }) => SERVICE_DROPS.test(String(reason))),
  }));
  const told = drops.flatMap(({ node, rows }) => rows.map((row) => `${row.reason} ${row.packets} (${node})`));
  w.line(1, `Drops of services:\t${told.join(", ") || "<none>"}`);
}

function frontendText(row: Row): string {
  const endpoints = (row.endpoints as string[] | undefined) ?? [];
  const more = endpoints.length > SHOWN ? ` + ${endpoints.length - SHOWN} more` : "";
  const protocol = String(row.protocol);
  const chain = row.action === "dnat" ? serviceChain(String(row.service), protocol) : "-";
  const shown = endpoints.length === 0 ? "<none>" : `${endpoints.slice(0, SHOWN).join(",")}${more}`;
  const masquerade = row.masquerade || "-";
  return `${row.address}/${protocol}\t${row.type}\t${row.action}\t${shown}\t${masquerade}\t${chain}`;
}

function podSection(w: TabWriter, pod: Pod, facts: PlaneFacts, policies: readonly string[]): void {
  const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
  const port = facts.ports?.find(({ kind, pod: owner }) => kind === "pod" && owner === key);
  if (port === undefined)
    w.line(1, `Device:\t${pod.spec.hostNetwork === true ? `the stack of ${facts.node}` : "<none>"}`);
  else {
    const name = String(port.name).replace(` ${key}`, "");
    w.line(1, `Device:\t${name} of ${facts.node}, MAC ${port.mac}, MTU ${port.mtu}, ${port.state}`);
    const missed = port.rxMissed ? `, ${port.rxMissed} missed` : "";
    w.line(1, `Sent:\t${port.rxPackets} packets, ${port.rxBytes} bytes, ${port.rxDrops} dropped${missed}`);
    w.line(1, `Received:\t${port.txPackets} packets, ${port.txBytes} bytes, ${port.txDrops} dropped`);
  }
  w.line(1, `Connections:\t${connectionsText(facts.connections ?? [])}`);
  if (policies.length === 0) {
    w.line(1, "Policies:\t<none>: nothing forbids it anything");
    return;
  }
  w.line(1, `Policies:\t${policies.join(", ")}`);
  const rows = (facts.policies ?? []).filter(({ policy }) => policies.includes(String(policy)));
  const lines = rows.map((row) => `${row.policy}\t${ruleText(row)}`);
  table(w, ["Policy", "Direction", "Rule", "Action", "Packets", "Connections"], lines);
  w.line(1, `(of all pods of ${facts.node} that a policy selects)`);
}

function connectionsText(connections: readonly { state?: string }[]): string {
  const counts = new Map<string, number>();
  for (const { state = "" } of connections) counts.set(state, (counts.get(state) ?? 0) + 1);
  const states = [...counts].filter(([state]) => state !== "").sort(([a], [b]) => (a < b ? -1 : 1));
  const told = states.map(([state, count]) => `${count} ${state}`).join(", ");
  return `${connections.length}${told === "" ? "" : ` (${told})`}`;
}

function nodeSection(
  w: TabWriter,
  { ports = [], vteps = [], drops = [], counters = [], table: used }: PlaneFacts,
): void {
  const pods = ports.filter(({ kind }) => kind === "pod");
  w.line(1, `Ports:\t${ports.length}, ${pods.length} of them of pods`);
  if (used !== undefined) w.line(1, `Connections:\t${used.count} of at most ${used.max}`);
  const uplink = ports.find(({ kind }) => kind === "uplink");
  if (uplink !== undefined)
    w.line(1, `Uplink:\t${uplink.name}, ${uplink.rxPackets} packets in, ${uplink.txPackets} out`);
  w.line(1, `VTEPs:\t${vteps.map(({ address, mac }) => `${address} (${mac})`).join(", ") || "<none>"}`);
  const some = counters.filter(({ value }) => value !== 0);
  if (some.length > 0)
    table(
      w,
      ["Counter", "Value"],
      some.map(({ counter, value }) => `${counter}\t${value}`),
    );
  if (drops.length === 0) w.line(1, "Drops:\t<none>");
  else
    table(
      w,
      ["Drops", "Packets", "Why"],
      drops.map(({ reason, packets, description }) => `${reason}\t${packets}\t${description}`),
    );
}

function policySection(w: TabWriter, key: string, facts: readonly PlaneFacts[]): void {
  const lines = facts.flatMap(({ node, policies = [] }) =>
    policies
      .filter(({ policy }) => policy === key)
      .map((row) => `${node}\t${ruleText(row)}\t${lastText(row)}`),
  );
  if (lines.length === 0) w.line(1, "<none>: no agent enforces it");
  else table(w, ["Node", "Direction", "Rule", "Action", "Packets", "Connections", "Last hit"], lines);
}

function ruleText({ direction, rule, action, packets, connections }: Row): string {
  return `${direction}\t${rule}\t${action}\t${packets}\t${connections}`;
}

function lastText({ lastHitSec }: Row): string {
  return typeof lastHitSec === "number" ? `${lastHitSec} s ago` : "never";
}

/** Lines that all say the same, once, with who says it. */
function together(lines: readonly { node: string; text: string }[]): string[] {
  const nodes = new Map<string, string[]>();
  for (const { node, text } of lines) nodes.set(text, [...(nodes.get(text) ?? []), node]);
  return [...nodes].map(([text, names]) => `${text}\t${names.join(",")}`);
}

function countsText(facts: readonly PlaneFacts[], count: (facts: PlaneFacts) => number): string {
  const counts = facts.map((each) => ({ node: each.node, count: count(each) }));
  const sum = counts.reduce((total, each) => total + each.count, 0);
  const told = counts.filter((each) => each.count > 0).map((each) => `${each.node} ${each.count}`);
  return `${sum}${told.length === 0 ? "" : ` (${told.join(", ")})`}`;
}

function table(w: TabWriter, titles: readonly string[], lines: readonly string[]): void {
  w.flush();
  w.line(1, titles.join("\t"));
  w.line(1, titles.map((title) => "-".repeat(title.length)).join("\t"));
  for (const line of lines) w.line(1, line);
  w.flush();
}
