// The mesh proxy's configuration file.
import { parse } from "yaml";
import { PodwireError } from "../base/errors.ts";
import { parseIp } from "../base/ip.ts";
import { checkSchema } from "../config/schema.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import type { LogTarget } from "../gateway/log-writer.ts";
import { type FieldProblem, FieldProblems, formatPath } from "../kube/manifest/field-problems.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { HBONE_PORT, TRUST_DOMAIN } from "../kube/mesh/mesh-names.ts";
import { MESH_LIMITS, type MeshLimits } from "./limits.ts";

export interface MeshConfig {
  readonly source: GatewayConfig["source"];
  readonly nodeName: string;
  readonly trustDomain: string;
  /** Where somebody else puts certificates; undefined: a signer of the API is asked for them. */
  readonly identities: { readonly directory: string } | undefined;
  /** The file that says whom to trust, where a signer is asked. */
  readonly trustBundle: string;
  /** The pod's. */
  readonly device: string;
  /** The agent's socket; "": it is asked nothing. */
  readonly agent: string;
  readonly plain: "refuse" | "allow";
  readonly hbonePort: number;
  readonly capturePort: number;
  readonly accessLog: LogTarget;
  readonly metrics: { readonly address: string; readonly port: number } | undefined;
  readonly limits: MeshLimits;
  readonly drainSec: number;
}

interface RawConfig extends Partial<Omit<MeshConfig, "identities" | "limits" | "metrics">> {
  readonly source: GatewayConfig["source"];
  readonly identities?: { readonly directory: string };
  readonly metrics?: { readonly address?: string; readonly port: number };
  readonly limits?: Partial<MeshLimits>;
}

const KIND = "MeshConfiguration";
const CAPTURE_PORT = 15_001;
const DRAIN_SEC = 30;

/** `flags`: of the command line, in place of what the file says. Throws a PodwireError of a line for each problem. */
export function readMeshFile(
  { file, text }: ManifestText,
  flags: { readonly nodeName?: string | undefined; readonly agent?: string | undefined },
): MeshConfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw bad(`${file}: ${(error as Error).message.split("\n", 1)[0]}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad(`${file}: not a map: it needs a source (docs/mesh.md)`);
  const problems = new FieldProblems();
  checkSchema(KIND, value, problems);
  const config = problems.any ? undefined : withDefaults(value as RawConfig, flags, problems);
  if (config !== undefined && !problems.any) return config;
  throw bad(problems.list.map((each) => problemLine(file, each)).join("\n"));
}

function bad(message: string): PodwireError {
  return new PodwireError(message, { code: "MESH_CONFIG" });
}

function problemLine(file: string, { path, message }: FieldProblem): string {
  return `${file}: ${message.includes(formatPath(path)) ? message : `${formatPath(path)}: ${message}`}`;
}

function withDefaults(
  raw: RawConfig,
  flags: { readonly nodeName?: string | undefined; readonly agent?: string | undefined },
  problems: FieldProblems,
): MeshConfig {
  const { identities, trustBundle, metrics } = raw;
  const nodeName = flags.nodeName ?? raw.nodeName ?? "";
  if (nodeName === "") problems.required(["nodeName"], "the node's name, here or by --node-name");
  if (identities === undefined && trustBundle === undefined)
    problems.required(
      ["trustBundle"],
      "the file that says whom to trust, or identities: where certificates are",
    );
  if (identities !== undefined && trustBundle !== undefined)
    problems.forbidden(["trustBundle"], "identities.directory has its own");
  if (trustBundle !== undefined && "files" in raw.source)
    problems.forbidden(["trustBundle"], "source.files has no signer: identities says where certificates are");
  if (metrics?.address !== undefined && parseIp(metrics.address) === null)
    problems.invalid(["metrics", "address"], metrics.address, "must be an IP address");
  const [hbonePort, capturePort] = [raw.hbonePort ?? HBONE_PORT, raw.capturePort ?? CAPTURE_PORT];
  if (hbonePort === capturePort) problems.invalid(["capturePort"], capturePort, "is hbonePort, too");
  return {
    ...{ source: raw.source, nodeName, hbonePort, capturePort, trustDomain: raw.trustDomain ?? TRUST_DOMAIN },
    ...{ identities, trustBundle: trustBundle ?? "" },
    ...{ device: raw.device ?? "eth0", agent: flags.agent ?? raw.agent ?? "", plain: raw.plain ?? "refuse" },
    accessLog: raw.accessLog ?? "stdout",
    metrics: metrics === undefined ? undefined : { address: "0.0.0.0", ...metrics },
    limits: { ...MESH_LIMITS, ...raw.limits },
    drainSec: raw.drainSec ?? DRAIN_SEC,
  };
}
