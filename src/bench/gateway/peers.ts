// The programs that are measured: started, and the processor time that each has taken.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { BenchError, onExit, sleep, stop } from "../shell.ts";
import type { Peer } from "./proxies.ts";

export interface Running extends Peer {
  readonly pid: number;
}

const TICK_US = 10_000; // USER_HZ
const TRIES = 400; // 20 s

/** It takes connections when this resolves, and ends with the benchmark. */
export async function up(peer: Peer): Promise<Running> {
  const { name, port, command } = peer;
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
  onExit(() => stop(child));
  let said = "";
  child.stderr.on("data", (chunk) => (said = `${said}${chunk}`.slice(-1000)));
  child.on("error", (error) => (said = error.message));
  for (let i = 0; i < TRIES && child.exitCode === null; i++) {
    if (await isOpen(port)) return { ...peer, pid: child.pid ?? 0 };
    await sleep(50);
  }
  throw new BenchError(`${name} does not listen at ${port}: ${said.trim() || "it says nothing"}`);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** µs that a process and those that it started have run. */
export function cpuUs(pid: number): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [user, system] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
      .map(Number);
    const own = (user + system) * TICK_US;
    return children.split(" ").reduce((sum, each) => (each === "" ? sum : sum + cpuUs(Number(each))), own);
  } catch {
    return 0; // it has ended
  }
}
