/**
 * tcpdump's filter language, compiled by tcpdump itself: the language is libpcap's, so every expression that
 * people know means here what it means there. The result runs in dataplane/trace/bpf.ts.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BpfInstruction, createBpfProgram, encodeBpf } from "../base/bpf-program.ts";
import { PodwireError } from "../base/errors.ts";
import { lookIntoTunnel } from "./bpf-tunnel.ts";

export type FilterErrorCode = "FILTER_SYNTAX" | "FILTER_NO_TCPDUMP";

/** A filter that cannot be compiled; the message is one line. */
export class FilterError extends PodwireError {
  constructor(code: FilterErrorCode, message: string, filter: string, cause?: unknown) {
    super(message, { code, filter, cause });
  }
}

/** Compiles for Ethernet frames. The empty filter accepts everything. */
export async function compileFilter(filter: string): Promise<BpfInstruction[]> {
  if (filter.trim() === "") return [{ code: 0x06, jt: 0, jf: 0, k: 262144 }];
  let run = await tcpdump(filter, ["-y", "EN10MB"]);
  // Before 4.99 tcpdump opened a device even to print a program; a file's link type serves instead.
  if (!run.ok) run = await compileOverEmptyFile(filter);
  if (!run.ok) throw new FilterError("FILTER_SYNTAX", `filter "${filter}": ${lastLine(run.stderr)}`, filter);
  const instructions = parseDecimal(run.stdout, filter);
  try {
    createBpfProgram(instructions);
  } catch (error) {
    throw new FilterError("FILTER_SYNTAX", `filter "${filter}": ${(error as Error).message}`, filter, error);
  }
  return instructions;
}

/**
 * The filter as it travels to an agent: base64url of `struct sock_filter[]`. With a VXLAN port it also looks
 * into the tunnel.
 */
export async function compileFilterToBase64(filter: string, vxlanPort?: number): Promise<string> {
  const plain = await compileFilter(filter);
  const program = vxlanPort === undefined ? plain : lookIntoTunnel(plain, vxlanPort);
  return Buffer.from(encodeBpf(program)).toString("base64url");
}

/** A classic pcap file of Ethernet frames, without any. */
const EMPTY_PCAP_HEX = "d4c3b2a1020004000000000000000000ffff000001000000";

interface Run {
  ok: boolean;
  stdout: string;
  stderr: string;
}

function tcpdump(filter: string, source: string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    // After "--" a filter that starts with a dash is a filter still.
    execFile("tcpdump", [...source, "-ddd", "--", filter], { timeout: 10_000 }, (error, stdout, stderr) => {
      if (error && (error as NodeJS.ErrnoException).code === "ENOENT") {
        const message = "filters need tcpdump, which is not installed: apt-get install tcpdump";
        reject(new FilterError("FILTER_NO_TCPDUMP", message, filter, error));
      } else resolve({ ok: error === null, stdout, stderr });
    });
  });
}

async function compileOverEmptyFile(filter: string): Promise<Run> {
  const directory = await mkdtemp(join(tmpdir(), "podwire-filter-"));
  try {
    const file = join(directory, "empty.pcap");
    await writeFile(file, Buffer.from(EMPTY_PCAP_HEX, "hex"));
    return await tcpdump(filter, ["-r", file]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function lastLine(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.startsWith("tcpdump: "));
  return (lines.at(-1) ?? "tcpdump: cannot compile it").replace("tcpdump: ", "");
}

/** `-ddd`: a count, then one instruction a line as four decimal numbers. */
function parseDecimal(stdout: string, filter: string): BpfInstruction[] {
  const [count, ...lines] = stdout.trim().split("\n");
  const instructions = lines.map((line) => {
    const [code = 0, jt = 0, jf = 0, k = 0] = line.trim().split(/\s+/).map(Number);
    return { code, jt, jf, k };
  });
  if (Number(count) !== instructions.length) {
    throw new FilterError("FILTER_SYNTAX", `filter "${filter}": tcpdump printed no program`, filter);
  }
  return instructions;
}
