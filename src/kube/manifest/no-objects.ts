// What stands among manifests and is no object: where it belongs.
import type { KindInfo } from "../kinds.ts";

/** What is wrong with configuration among objects. */
export function configurationProblem({ kind, apiVersion }: KindInfo): string {
  const what = `no matches for kind "${kind}" in version "${apiVersion}"`;
  return `${what}: it is configuration: ${CONFIGURATION_WAY[kind]}`;
}

const CONFIGURATION_WAY: Readonly<Record<string, string>> = {
  KubeProxyConfiguration: "give it with --config, or as lab.yaml's spec.proxy",
  Lab: "podwire lab up -f reads it",
  AgentConfiguration: "podwire agent --config reads it",
  DNSConfiguration: "podwire dns --config reads it",
};

/** Files that stand beside manifests and are none: what to do instead. */
export function withoutKind(value: object): string {
  if ("apiVersion" in value && "name" in value && "version" in value)
    return ": this is a Helm chart's Chart.yaml: give what `helm template` prints";
  const isKustomization = "resources" in value && Array.isArray(value.resources);
  return isKustomization ? ": this is a kustomization: give what `kubectl kustomize` prints" : "";
}
