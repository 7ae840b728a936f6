// The benchmark in a network of its own: its ports are nobody else's, and its servers have addresses that slices may
// name, which those of loopback are not.
import { spawn, spawnSync } from "node:child_process";
import { BenchError } from "../shell.ts";

/** Of the network's one device, loopback. */
export const ADDRESSES: readonly string[] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
const INSIDE = "PODWIRE_GATEWAY_BENCH";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** True: this process is in it. False: another one was, which has ended by now, with this process' exit status. */
export async function enterOwnNetwork(): Promise<boolean> {
  if (process.env[INSIDE] === "1") {
    bringUp();
    return true;
  }
  const asOther = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const command = ["--net", ...asOther, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const inside = spawn("unshare", command, { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } });
  for (const signal of SIGNALS) process.on(signal, () => inside.kill(signal));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    inside.on("error", (cause) =>
      reject(new BenchError(`unshare: ${cause.message}: it is in util-linux`, { cause })),
    );
    inside.on("exit", (code) => resolve(code ?? 1));
  });
  return false;
}

function bringUp(): void {
  const ip = (...words: string[]): void => {
    const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
    if (status !== 0) throw new BenchError(`ip ${words.join(" ")}: ${stderr ?? "it is in iproute2"}`);
  };
  ip("link", "set", "lo", "up");
  for (const address of ADDRESSES) ip("addr", "add", `${address}/32`, "dev", "lo");
}
