// What a lab cannot do without, said in one line each before anything is made.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LabError } from "./errors.ts";
import { tryCommand } from "./process/command.ts";
import type { Topology } from "./topology.ts";

const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;
const CAP_NET_RAW = 13;
const ADDON = `build/native/${process.platform}-${process.arch}/podwire.node`;

/** Throws for anyone who may not make network namespaces. Root alone is not enough inside a container. */
export function checkPrivileges(what: string): void {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"));
  const effective = BigInt(`0x${line?.[1] ?? "0"}`);
  const missing = (
    [
      ["CAP_NET_ADMIN", CAP_NET_ADMIN],
      ["CAP_SYS_ADMIN", CAP_SYS_ADMIN],
      ["CAP_NET_RAW", CAP_NET_RAW],
    ] as const
  ).filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name).join(", ");
  throw new LabError(
    "LAB_NOT_ROOT",
    `${what}: not permitted (${names} missing): run as root, e.g. with sudo`,
  );
}

export async function checkPreconditions(t: Topology): Promise<void> {
  checkPrivileges("lab up");
  const ip = await tryCommand("ip", ["-V"]);
  if (ip.status !== 0) throw new LabError("LAB_NO_IP", "lab up: ip(8) not found: install iproute2");
  if (t.nodes.some((node) => node.agent === "podwire")) {
    checkTun();
    checkAddon();
  }
  if (!t.nodes.some((node) => node.agent === "kernel")) return;
  const loader = t.proxy.mode === "nftables" ? ["nft", "nftables"] : ["iptables-restore", "iptables"];
  for (const [file, from] of [loader, ["bridge", "iproute2"], ["conntrack", "conntrack"]]) {
    const found = await tryCommand(file, ["-V"]);
    if (found.status === 127) {
      throw new LabError(
        "LAB_NO_TOOL",
        `lab up: ${file} not found (a node has agent: kernel): install ${from}`,
      );
    }
  }
}

function checkTun(): void {
  const device = "/dev/net/tun";
  if (!existsSync(device)) {
    throw new LabError(
      "LAB_NO_TUN",
      `lab up: ${device} is missing: modprobe tun, or give the container the device (--device ${device})`,
    );
  }
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
  } catch {
    throw new LabError("LAB_NO_TUN", `lab up: ${device}: permission denied: run as root`);
  }
}

function checkAddon(): void {
  if (existsSync(process.env.PODWIRE_NATIVE || join(packageRoot(), ADDON))) return;
  throw new LabError("LAB_NO_ADDON", `lab up: the native addon (${ADDON}) is not built: npm run build`);
}

/** Directory of the command `podwire`: this file runs from build/src/lab, or from build/bundle. */
export function packageRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, "podwire")) && dir !== "/") dir = dirname(dir);
  return dir;
}
