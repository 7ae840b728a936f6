/** What the machine's own resolver asks: resolv.conf(5). */
import { readFileSync } from "node:fs";
import { parseIp } from "../base/ip.ts";
import type { Server } from "./upstream.ts";

export interface HostResolvers {
  readonly servers: readonly Server[];
  readonly search: readonly string[];
  /** `name` or `name:value`. */
  readonly options: readonly string[];
}

const FILE = "/etc/resolv.conf";
const DNS_PORT = 53;

/** Nobody and nothing where the file cannot be read. */
export function hostResolvers(file = FILE): HostResolvers {
  try {
    return parseResolvConf(readFileSync(file, "utf8"));
  } catch {
    return { servers: [], search: [], options: [] };
  }
}

function parseResolvConf(text: string): HostResolvers {
  const servers: Server[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [word, ...rest] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (word === "nameserver" && parseIp(rest[0] ?? "") !== null)
      servers.push({ address: rest[0], port: DNS_PORT });
    if (word === "search" || word === "domain") search = rest.filter((domain) => domain !== "."); // the last counts
    if (word === "options") options.push(...rest);
  }
  return { servers, search, options };
}
