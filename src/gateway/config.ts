// The gateway's configuration file: what it serves where, and within which limits.
import { parse } from "yaml";
import { PodwireError } from "../base/errors.ts";
import { parseIp } from "../base/ip.ts";
import { checkSchema } from "../config/schema.ts";
import { type FieldProblem, FieldProblems, formatPath } from "../kube/manifest/field-problems.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { dns1123Subdomain } from "../kube/validate/names.ts";
import type { ProxyProtocol } from "./l4/tcp-front.ts";
import type { LogTarget } from "./log-writer.ts";
import type { Limits } from "./server/door.ts";

export interface GatewayConfig {
  readonly source:
    | { readonly files: readonly string[] }
    | {
        readonly kubernetes: {
          readonly kubeconfig?: string;
          readonly context?: string;
          readonly servers?: string[];
        };
      };
  /** Ports for Ingresses; undefined: none are served. */
  readonly ingress: { readonly http?: number; readonly https?: number } | undefined;
  readonly gateways: readonly string[] | "all";
  readonly address: readonly string[];
  /** Whether connections begin with who opened them. */
  readonly proxyProtocol: ProxyProtocol;
  readonly accessLog: LogTarget;
  readonly metrics: { readonly address: string; readonly port: number } | undefined;
  readonly limits: Limits;
  /** What is written into the statuses of a cluster's objects; undefined: none are written. */
  readonly status: Status | undefined;
  readonly drainSec: number;
  /** Processes on the same ports. */
  readonly workers: number;
  /** Whose endpoints are near, where slices have hints. */
  readonly nodeName: string;
  readonly zone: string;
}

/** `lease`: "namespace/name" of the Lease that whoever writes has. */
type Status = { readonly lease?: string } & (
  | { readonly addresses: readonly string[] }
  /** Whose addresses they are, "namespace/name". */
  | { readonly service: string }
);

interface RawConfig extends Partial<Omit<GatewayConfig, "address" | "limits" | "metrics">> {
  readonly source: GatewayConfig["source"];
  readonly address?: string | readonly string[];
  readonly metrics?: { readonly address?: string; readonly port: number };
  readonly limits?: Partial<Limits>;
}

const LIMITS: Limits = {
  ...{ headerBytes: 16_384, headers: 100, headerSec: 10, idleSec: 75, stallSec: 60, bodyBytes: 0 },
  ...{ connections: 10_000, streams: 128 },
  ...{ streamIdleSec: 3600, flowIdleSec: 60, flows: 4096 },
};
const DRAIN_SEC = 30;
const KIND = "GatewayConfiguration";
const NAME = /^[a-z0-9.-]+\/[a-z0-9.-]+$/;

/** Throws a PodwireError of a line for each problem. */
export function readGatewayFile({ file, text }: ManifestText): GatewayConfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw bad(`${file}: ${(error as Error).message.split("\n", 1)[0]}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad(`${file}: not a map: it needs a source, and ingress or gateways (docs/gateway.md)`);
  const problems = new FieldProblems();
  checkSchema(KIND, value, problems);
  const config = problems.any ? undefined : withDefaults(value as RawConfig, problems);
  if (config !== undefined && !problems.any) return config;
  throw bad(problems.list.map((each) => problemLine(file, each)).join("\n"));
}

function bad(message: string): PodwireError {
  return new PodwireError(message, { code: "GATEWAY_CONFIG" });
}

function problemLine(file: string, { path, message }: FieldProblem): string {
  return `${file}: ${message.includes(formatPath(path)) ? message : `${formatPath(path)}: ${message}`}`;
}

function withDefaults(raw: RawConfig, problems: FieldProblems): GatewayConfig {
  const { ingress, gateways = [], address = ["0.0.0.0", "::"], metrics, accessLog = "stdout" } = raw;
  const addresses = typeof address === "string" ? [address] : address;
  for (const [i, text] of addresses.entries())
    if (parseIp(text) === null) problems.invalid(["address", i], text, "must be an IP address");
  if (addresses.length === 0) problems.required(["address"], "where it listens");
  if (ingress === undefined && gateways.length === 0)
    problems.required(["ingress"], "ports for Ingresses, or gateways: there is nothing to serve");
  if (ingress !== undefined && ingress.http === undefined && ingress.https === undefined)
    problems.required(["ingress", "http"], "a port for Ingresses");
  if (ingress?.http !== undefined && ingress.http === ingress.https)
    problems.invalid(["ingress", "https"], ingress.https, "is the port of http, too");
  if (typeof gateways === "string" && gateways !== "all")
    problems.invalid(["gateways"], gateways, "must be all, or a list of NAMESPACE/NAME");
  else if (gateways !== "all")
    for (const [i, name] of gateways.entries())
      if (!NAME.test(name)) problems.invalid(["gateways", i], name, "must be NAMESPACE/NAME");
  checkStatus(raw, problems);
  if (metrics?.address !== undefined && parseIp(metrics.address) === null)
    problems.invalid(["metrics", "address"], metrics.address, "must be an IP address");
  return {
    ...{ source: raw.source, ingress, gateways, address: addresses, accessLog },
    proxyProtocol: raw.proxyProtocol ?? "off",
    metrics: metrics === undefined ? undefined : { address: "0.0.0.0", ...metrics },
    limits: { ...LIMITS, ...raw.limits },
    status: raw.status,
    workers: raw.workers ?? 1,
    ...{ drainSec: raw.drainSec ?? DRAIN_SEC, nodeName: raw.nodeName ?? "", zone: raw.zone ?? "" },
  };
}

function checkStatus({ status, source }: RawConfig, problems: FieldProblems): void {
  if (status === undefined) return;
  if (!("kubernetes" in source))
    problems.invalid(["status"], "a map", "files have no statuses: it needs source.kubernetes");
  const {
    addresses = [],
    service,
    lease,
  } = status as { addresses?: string[]; service?: string; lease?: string };
  for (const [i, text] of addresses.entries())
    if (parseIp(text) === null && dns1123Subdomain(text).length > 0)
      problems.invalid(["status", "addresses", i], text, "must be an IP address, or a name");
  if ("addresses" in status && addresses.length === 0)
    problems.required(["status", "addresses"], "where clients reach it");
  for (const [field, text] of Object.entries({ service, lease }))
    if (text !== undefined && !NAME.test(text))
      problems.invalid(["status", field], text, "must be NAMESPACE/NAME");
}
