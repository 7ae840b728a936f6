// What `podwire create`, `run` and `expose` read of their words alike: ports, labels, names of containers.
import { randomInt } from "node:crypto";
import type { KubeObject } from "../../../kube/objects.ts";
import { usageError } from "../../errors.ts";

/** An object as it is sent: what a cluster fills in is not there yet. */
export type Draft = KubeObject & { spec?: object };

const PORT_MAX = 65_535;
const LETTERS = "bcdfghjklmnpqrstvwxz2456789"; // Kubernetes' own, of which no words are made

/** `namespace`: undefined: the object names none, as kubectl's without -n. */
export function draft(
  apiVersion: string,
  kind: string,
  metadata: { name: string; namespace?: string | undefined; [field: string]: unknown },
  rest: object = {},
): Draft {
  const given = Object.entries(metadata).filter(([, value]) => value !== undefined);
  return { apiVersion, kind, metadata: Object.fromEntries(given), ...rest } as unknown as Draft;
}

export function portNumber(what: string, text: string, least = 1): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < least || port > PORT_MAX)
    throw usageError(`${what} ${text}: use a port number from ${least} to ${PORT_MAX}`);
  return port;
}

/** 8080, or the name of a port. */
export function portOrName(what: string, text: string): number | string {
  if (/^\d+$/.test(text)) return portNumber(what, text);
  if (/^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(text) && /[a-z]/.test(text) && !text.includes("--"))
    return text;
  throw usageError(`${what} ${text}: use a port number, or a port's name such as http`);
}

/** a=b,c=d */
export function labelMap(flag: string, text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const word of text.split(",")) {
    const [key, value, more] = word.split("=");
    if (!key || value === undefined || more !== undefined)
      throw usageError(`${flag} ${text}: "${word}" is no label: write KEY=VALUE,…`);
    labels[key] = value;
  }
  return labels;
}

/** What an image is called, without registry, tag and digest: the name of its container. */
export function containerName(image: string): string {
  const name = (image.split("/").at(-1) ?? "").split(":")[0].split("@")[0];
  if (!/[_.]/.test(name)) return name;
  const suffix = Array.from({ length: 5 }, () => LETTERS[randomInt(LETTERS.length)]).join("");
  return `${name.replace(/[_.]/g, "-")}-${suffix}`;
}

/** Values of an option that may be repeated, and may have commas in it. */
export function commaList(value: string, list: string[] | undefined): string[] {
  return [...(list ?? []), ...value.split(",")];
}
