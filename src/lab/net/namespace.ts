// Network namespaces by ip(8): made, filled by batches, and removed. Everything can be repeated: what exists already
// is no error, so a repair is the same call as the first set-up.
import { existsSync, readdirSync } from "node:fs";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { LabError } from "../errors.ts";
import { command, tryCommand } from "../process/command.ts";
import * as names from "./names.ts";

const NETNS_DIR = "/run/netns";
/** Where ip(8) looks for the files of a namespace that lie over those in /etc. */
export const ETC_NETNS = "/etc/netns";

/** Names of the network namespaces that belong to `lab`; with no argument to any lab. */
export function ownNamespaces(lab?: string): string[] {
  if (!existsSync(NETNS_DIR)) return [];
  return readdirSync(NETNS_DIR).filter((name) => {
    const owner = names.parseNetns(name);
    return owner !== undefined && (lab === undefined || owner.lab === lab);
  });
}

export function namespaceExists(name: string): boolean {
  return existsSync(names.netnsPath(name));
}

/** Makes those that are missing, and tells which. */
export async function makeNamespaces(wanted: string[]): Promise<string[]> {
  const missing = wanted.filter((name) => !namespaceExists(name));
  if (missing.length === 0) return [];
  await ipBatch(
    undefined,
    missing.map((name) => `netns add ${name}`),
  );
  return missing;
}

export async function deleteNamespaces(unwanted: string[]): Promise<void> {
  const present = unwanted.filter(namespaceExists);
  if (present.length > 0) {
    await ipBatch(
      undefined,
      present.map((name) => `netns del ${name}`),
    );
  }
  await Promise.all(unwanted.map((name) => rm(`${ETC_NETNS}/${name}`, { recursive: true, force: true })));
  await rmdir(ETC_NETNS).catch(() => {}); // only if empty: it is ours alone then, or makes no difference
}

/**
 * Runs lines through one `ip -batch` inside the namespace. Lines that fail because the thing is already there (or
 * already gone) are passed over; the first other failure is thrown with its line.
 */
export async function ipBatch(netns: string | undefined, lines: string[]): Promise<void> {
  await batch("ip", netns, lines);
}

export async function bridgeBatch(netns: string, lines: string[]): Promise<void> {
  await batch("bridge", netns, lines);
}

/** tc(8), for what is only faster: where it is missing, or its kernel has no such filters, nothing else changes. */
export async function tryTcBatch(netns: string, lines: string[]): Promise<void> {
  await tryCommand("tc", ["-n", netns, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

async function batch(program: string, netns: string | undefined, lines: string[]): Promise<void> {
  if (lines.length === 0) return;
  const where = netns === undefined ? [] : ["-n", netns];
  const result = await tryCommand(program, [...where, "-force", "-batch", "-"], {
    input: `${lines.join("\n")}\n`,
  });
  if (result.status === 0) return;
  const real = batchFailures(lines, result.stderr);
  if (real.length === 0 && result.status === 1) return;
  const first = real[0] ?? {
    line: "",
    message: result.stderr.trim().split("\n")[0] || `status ${result.status}`,
  };
  throw new LabError(
    "LAB_IP",
    `${[program, ...where].join(" ")} ${first.line}: ${first.message.replace(/^RTNETLINK answers: /, "")}`,
  );
}

/** The failures of a batch that count, from what ip(8) said: its message precedes "Command failed -:LINE". */
export function batchFailures(lines: string[], stderr: string): { line: string; message: string }[] {
  const failures: { line: string; message: string }[] = [];
  let message = "";
  for (const text of stderr.split("\n")) {
    const m = /^Command failed .*:(\d+)$/.exec(text);
    if (m === null) {
      if (text !== "") message = message === "" ? text : `${message}; ${text}`;
      continue;
    }
    const line = lines[Number(m[1]) - 1] ?? "";
    if (!isAlreadyDone(line, message)) failures.push({ line, message });
    message = "";
  }
  return failures;
}

function isAlreadyDone(line: string, message: string): boolean {
  if (message.includes("File exists")) return true;
  // A persistent TAP that exists answers EBUSY, whether or not its agent has it open.
  if (line.startsWith("tuntap add") && message.includes("Device or resource busy")) return true;
  if (line.startsWith("link del") && message.includes("Cannot find device")) return true;
  return line.startsWith("rule del") && message.includes("No such file or directory");
}

/** Writes /proc/sys values inside a namespace. Missing ones are passed over: not every kernel has every module. */
export async function setSysctls(netns: string, values: Record<string, string>): Promise<void> {
  const script = Object.entries(values)
    .map(([key, value]) => `f=/proc/sys/${key.replaceAll(".", "/")}; [ ! -e $f ] || echo ${value} > $f`)
    .join("\n");
  await command("ip", ["netns", "exec", netns, "sh", "-e", "-c", script]);
}

/** Files that `ip netns exec` lays over /etc for everything that it runs in the namespace. */
export async function writeEtcFiles(netns: string, files: Record<string, string>): Promise<void> {
  await mkdir(`${ETC_NETNS}/${netns}`, { recursive: true });
  await Promise.all(
    Object.entries(files).map(([name, text]) => writeFile(`${ETC_NETNS}/${netns}/${name}`, text)),
  );
}

/** Processes that live in the namespace. */
export async function processesIn(netns: string): Promise<number[]> {
  if (!namespaceExists(netns)) return [];
  const { stdout } = await tryCommand("ip", ["netns", "pids", netns]);
  return stdout.split("\n").filter(Boolean).map(Number);
}
