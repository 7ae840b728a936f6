/** What `podwire status` and whoever supervises an agent are told of it: GET /status. */
import type { PortInfo } from "../../api/show.ts";
import type { DesiredState } from "../../watch/desired-state.ts";
import type { SourceHealth } from "../../watch/source.ts";
import type { DeviceState } from "./device-states.ts";

/** Kind → how many the agent knows. */
export function objectCounts(state: DesiredState): Record<string, number> {
  return {
    nodes: state.nodes.size,
    pods: state.pods.size,
    services: state.services.size,
    endpointSlices: [...state.slices.values()].reduce((n, slices) => n + slices.length, 0),
  };
}

export interface StatusParts {
  readonly node: string;
  readonly ready: boolean;
  /** Why the plane does not serve the node; "": it does, or nobody knows. */
  readonly problem: string;
  /** Why objects cannot be read for now, where the source itself does not tell. */
  readonly sourceProblem: string;
  /** What else is wrong, a line each; "": nothing. */
  readonly complaints: readonly string[];
  readonly source: SourceHealth | undefined;
  readonly ports: readonly PortInfo[];
  readonly objects: Readonly<Record<string, number>>;
  readonly internalErrors: number;
  readonly refusedServicePorts: number;
  readonly workers: number;
  /** Whose the uplink is: "shared" with the kernel, or "exclusive". */
  readonly uplinkMode: string;
  /** What pods do not reach by it; "": nothing. */
  readonly uplinkNote: string;
  readonly tunnelBundles: string;
  readonly tunnelGso: string;
  /** "on", or "off: " and why. */
  readonly datagramJoining: string;
  readonly devices: readonly DeviceState[];
  readonly lastApplyMs: number;
}

export function agentStatus(parts: StatusParts): Record<string, unknown> {
  const { ready, problem, ports, source, sourceProblem, complaints, lastApplyMs, ...rest } = parts;
  const failed = ports.find((p) => p.state === "error");
  const { unreported = "", refused = [] } = source ?? {};
  const problems = [
    source?.problem ?? sourceProblem,
    ...complaints,
    unreported && `Node ${parts.node} is not told that its network is up: ${unreported}`,
    ...[...refused].map(([title, why]) => `${title} cannot be used: ${why}`),
  ].filter((text) => text !== "");
  return {
    ...rest,
    ...{ pid: process.pid, uptimeSec: Math.round(process.uptime()), ready },
    ...(ready ? {} : { error: problem || failed?.error || "objects are not there yet" }),
    ...{ problems, ports },
    ...(source && {
      source: {
        ...{ server: source.server, problem: source.problem, silentSeconds: source.silentSeconds },
        aheadSeconds: source.aheadSeconds,
      },
    }),
    lastApplyMs: Math.round(lastApplyMs * 1000) / 1000,
  };
}
