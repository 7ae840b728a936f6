/**
 * `podwire agent --cleanup`: takes away what agents left on the machine, also one that was killed, and says what. What a
 * process takes with it (the drop set, devices of superframes) is not among it. May be repeated; what is not an agent's
 * is left alone.
 */
import type { AgentConfig } from "../../config/agent.ts";
import type { Native } from "../../native/binding.ts";
import { lockAgentThere } from "./agent-lock.ts";
import { HostRouting } from "./host-routing.ts";
import { ALIAS, readNetwork } from "./node-network.ts";
import { recordToTakeBack, removeRecord } from "./record.ts";
import { linesOf, runIn } from "./run-ip.ts";
import { MachineSysctls } from "./sysctls.ts";

/** By what an agent is found that may be gone. */
export type Left = Pick<AgentConfig, "netns" | "socket" | "host">;

/** Answers a line for each thing that was taken away. */
export async function cleanUp(native: Native, left: Left): Promise<string[]> {
  const advice = ": end it first (systemctl stop podwire-agent)";
  const unlock = await lockAgentThere(native, left.socket, { advice, code: "CLEANUP_AGENT_RUNS" });
  try {
    return await takeBack(native, left);
  } finally {
    unlock();
  }
}

async function takeBack(native: Native, { netns, socket, host }: Left): Promise<string[]> {
  const record = recordToTakeBack(socket);
  const sysctls = new MachineSysctls(netns);
  const said: string[] = [];
  const routing = new HostRouting({ netns, socket, host, nodePortRange: null, serviceCidrs: [], uplink: {} });
  said.push(...(await routing.takeAway(record.local)));
  const name = record.host || host.interface;
  const isThere = readNetwork(native, netns).links.some((link) => link.name === name);
  if (isThere && (record.host === name || (await isOurs(netns, name)))) {
    await runIn(netns, ["ip", "link", "del", name]);
    said.push(`device ${name}, with its addresses and routes`);
  }
  if (record.reserved !== "") {
    await sysctls.release(record.reserved);
    said.push(`net.ipv4.ip_local_reserved_ports: ${record.reserved}`);
  }
  if (record.rpFilter.all !== undefined) {
    const all = await sysctls.restore(record.rpFilter);
    const where = all === record.rpFilter.all ? "" : ", but for what somebody else has changed since";
    said.push(`net.ipv4.conf.*.rp_filter: as before (all=${all})${where}`);
  }
  removeRecord(socket);
  return said;
}

async function isOurs(netns: string, name: string): Promise<boolean> {
  const shown = await runIn(netns, ["ip", "link", "show", "dev", name], { mayFail: true });
  return linesOf(shown).includes(`alias ${ALIAS}`);
}
