// Dispatch: the rules of the configuration kinds.
import type { FieldProblems } from "../kube/manifest/field-problems.ts";
import { agentConfig } from "./agent.ts";
import { dnsConfig } from "./dns.ts";
import { checkLab } from "./lab.ts";
import { readProxyConfig } from "./proxy.ts";

/** Reports what is wrong with a Lab, an AgentConfiguration, a DNSConfiguration or a KubeProxyConfiguration. */
export function checkConfiguration(kind: string, value: unknown, problems: FieldProblems): void {
  if (kind === "Lab") checkLab(value, problems);
  else if (kind === "AgentConfiguration") agentConfig(value, problems);
  else if (kind === "DNSConfiguration") dnsConfig(value, problems);
  else readProxyConfig(value, problems);
}
