// What kubectl's descriptions have in common: labels, annotations, selectors, times, events.

import { ageOf } from "../../../apiserver/table/age.ts";
import { byTime } from "../../../cluster/event-recorder.ts";
import type { Event, KubeObject, LabelSelector } from "../../../kube/objects.ts";
import type { TabWriter } from "./tabs.ts";

type StringMap = Readonly<Record<string, string>>;

const ANNOTATION_MAX = 140;
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A line each, the title before the first. */
export function listed(w: TabWriter, title: string, lines: readonly string[]): void {
  for (const [i, line] of (lines.length === 0 ? ["<none>"] : lines).entries())
    w.line(0, `${i === 0 ? `${title}:` : ""}\t${line}`);
}

export function labelLines(w: TabWriter, title: string, labels: StringMap | undefined): void {
  listed(
    w,
    title,
    sorted(labels).map(([key, value]) => `${key}=${value}`),
  );
}

export function annotationLines(w: TabWriter, title: string, annotations: StringMap | undefined): void {
  const shown = sorted(annotations).filter(([key]) => key !== LAST_APPLIED);
  const lines = shown.flatMap(([key, text]) => {
    const value = text.replace(/\n$/, "");
    if (key.length + value.length + 2 <= ANNOTATION_MAX && !value.includes("\n")) return [`${key}: ${value}`];
    return [`${key}:`, ...value.split("\n").map((line) => `  ${shortened(line, ANNOTATION_MAX - 2)}`)];
  });
  listed(w, title, lines);
}

export function head(w: TabWriter, { metadata }: KubeObject): void {
  w.line(0, `Name:\t${metadata.name}`);
  if (metadata.namespace !== undefined) w.line(0, `Namespace:\t${metadata.namespace}`);
}

export function marks(w: TabWriter, { metadata }: KubeObject): void {
  labelLines(w, "Labels", metadata.labels);
  annotationLines(w, "Annotations", metadata.annotations);
}

export function controlledBy(w: TabWriter, { metadata }: KubeObject): void {
  const owner = metadata.ownerReferences?.find((each) => each.controller === true);
  if (owner !== undefined) w.line(0, `Controlled By:\t${owner.kind}/${owner.name}`);
}

/** a=b,c=d */
export function mapText(map: StringMap | undefined): string {
  return (
    sorted(map)
      .map(([key, value]) => `${key}=${value}`)
      .join(",") || "<none>"
  );
}

/** a=b,c in (d,e),!f; in the order of keys. */
export function selectorText(selector: LabelSelector | undefined): string {
  const labels = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({
    key,
    text: `${key}=${value}`,
  }));
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return { key, text: key };
    if (operator === "DoesNotExist") return { key, text: `!${key}` };
    return { key, text: `${key} ${operator.toLowerCase()} (${[...values].sort().join(",")})` };
  });
  const all = [...labels, ...expressions].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return all.map(({ text }) => text).join(",");
}

/** Mon, 02 Jan 2006 15:04:05 -0700, in the zone of who reads it. */
export function timeText(timestamp: string | undefined): string {
  if (timestamp === undefined) return "Mon, 01 Jan 0001 00:00:00 +0000"; // Go's time that was never set
  const t = new Date(timestamp);
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${DAYS[t.getDay()]}, ${two(t.getDate())} ${MONTHS[t.getMonth()]} ${t.getFullYear()}`;
  return `${date} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())} ${zone(t)}`;
}

/** +0100 */
export function zone(t: Date): string {
  const minutes = Math.abs(t.getTimezoneOffset());
  const sign = t.getTimezoneOffset() <= 0 ? "+" : "-";
  return `${sign}${String(Math.floor(minutes / 60)).padStart(2, "0")}${String(minutes % 60).padStart(2, "0")}`;
}

export function eventLines(w: TabWriter, events: readonly Event[], nowMs: number): void {
  if (events.length === 0) {
    w.line(0, "Events:\t<none>");
    return;
  }
  w.flush();
  w.line(0, "Events:");
  w.line(1, "Type\tReason\tAge\tFrom\tMessage");
  w.line(1, "----\t------\t----\t----\t-------");
  for (const event of [...events].sort(byTime)) {
    const { type, reason, message, source, count = 1 } = event;
    const since = ageOf(event.firstTimestamp, nowMs);
    const age = count > 1 ? `${ageOf(event.lastTimestamp, nowMs)} (x${count} over ${since})` : since;
    w.line(1, `${type}\t${reason}\t${age}\t${source?.component ?? ""}\t${(message ?? "").trim()}`);
  }
}

export function joinHostPort(host: string, port: string | number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function sorted<T>(map: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

function shortened(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max)}...` : text;
}
