// Configuration files: text → typed configuration, or a ManifestError that lists what is wrong and where.
import { PodwireError } from "../base/errors.ts";
import { warningLines } from "../kube/fields/warnings.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import {
  type Manifest,
  ManifestError,
  type ManifestText,
  parseManifests,
} from "../kube/manifest/manifest.ts";
import { type AgentConfig, agentConfig, type NodeNames } from "./agent.ts";
import { checkConfiguration } from "./check.ts";
import { manifestsInConfigMaps } from "./config-map.ts";
import { type DnsConfig, dnsConfig } from "./dns.ts";
import { type ProxyConfig, readProxyConfig } from "./proxy.ts";

/** Told of what a file says and nobody heeds, in whole lines. */
export type Warn = (lines: readonly string[]) => void;

/** The one AgentConfiguration of a file. */
export function readAgentFile(
  source: ManifestText,
  warn: Warn = () => {},
  names: NodeNames = {},
): AgentConfig {
  const manifest = onlyOne(source, "AgentConfiguration");
  warn(warningLines([manifest], "lab"));
  const problems = new FieldProblems();
  const config = agentConfig(manifest.object, problems, names);
  if (config !== undefined) return config;
  throw new ManifestError(problems.list.map((p) => manifest.problem(p.path, p.message)));
}

/** The one DNSConfiguration of a file. */
export function readDnsFile(source: ManifestText): DnsConfig {
  const manifest = onlyOne(source, "DNSConfiguration");
  const problems = new FieldProblems();
  const config = dnsConfig(manifest.object, problems);
  if (config !== undefined) return config;
  throw new ManifestError(problems.list.map((p) => manifest.problem(p.path, p.message)));
}

/** The one KubeProxyConfiguration of a file: an object of its own, or in a ConfigMap as kubeadm writes it. */
export function readProxyFile(source: ManifestText, clusterCidr = "", warn: Warn = () => {}): ProxyConfig {
  const kind = "KubeProxyConfiguration";
  const manifest = onlyOne(source, kind, manifestsInConfigMaps(source, kind)); // its problems were thrown by then
  warn(warningLines([manifest], "node"));
  return readProxyConfig(manifest.object, new FieldProblems(), [], clusterCidr);
}

function onlyOne(source: ManifestText, kind: string, more: readonly Manifest[] = []): Manifest {
  const found = [
    ...parseManifests([source], { configuration: checkConfiguration }).filter((m) => m.object.kind === kind),
    ...more,
  ];
  if (found.length === 1) return found[0];
  const message = `${source.file}: needs exactly one object of kind ${kind}, has ${found.length}`;
  throw new PodwireError(message, { code: "CONFIG_COUNT", file: source.file, kind });
}
