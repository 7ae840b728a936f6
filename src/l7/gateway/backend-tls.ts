// BackendTLSPolicies: which of a Service's backends are spoken to by TLS, as whom they have to show themselves, and who
// has to have signed that.
import { X509Certificate } from "node:crypto";
import type { BackendTlsPolicy, ObjectRef } from "../../kube/gateway/gateway-objects.ts";
import { type ConfigMap, type KubeObject, keyOf } from "../../kube/objects.ts";
import { byAge } from "../by-age.ts";
import type { BackendTls } from "../decision.ts";

const AUTHORITY = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

export class BackendTlsPolicies {
  /** By "namespace/service", the older first. */
  readonly #byService = new Map<string, BackendTlsPolicy[]>();
  readonly #configMaps = new Map<string, ConfigMap>();

  constructor(objects: readonly KubeObject[]) {
    const policies = objects.filter((each): each is BackendTlsPolicy => each.kind === "BackendTLSPolicy");
    for (const policy of policies.sort(byAge)) {
      const own = policy.spec.targetRefs.filter(
        ({ group, kind }) => (group ?? "") === "" && kind === "Service",
      );
      for (const name of new Set(own.map((ref) => ref.name))) {
        const key = `${policy.metadata.namespace}/${name}`;
        this.#byService.set(key, [...(this.#byService.get(key) ?? []), policy]);
      }
    }
    for (const each of objects)
      if (each.kind === "ConfigMap") this.#configMaps.set(keyOf(each), each as ConfigMap);
  }

  /** A text: why its policy lets nobody through. One for the port comes before one for all of them. */
  find(namespace: string, name: string, portName: string): BackendTls | string | undefined {
    const all = this.#byService.get(`${namespace}/${name}`);
    if (all === undefined) return undefined;
    const sections = (policy: BackendTlsPolicy): (string | undefined)[] =>
      policy.spec.targetRefs
        .filter((each) => each.name === name)
        .map(({ sectionName }) => sectionName || undefined);
    const policy =
      all.find((each) => portName !== "" && sections(each).includes(portName)) ??
      all.find((each) => sections(each).includes(undefined));
    return policy === undefined ? undefined : this.#read(policy, namespace);
  }

  #read({ metadata, spec }: BackendTlsPolicy, namespace: string): BackendTls | string {
    const { hostname, caCertificateRefs = [], subjectAltNames = [] } = spec.validation;
    for (const ref of caCertificateRefs) {
      const problem = this.#problemOf(ref, namespace);
      if (problem !== "") return `BackendTLSPolicy ${namespace}/${metadata.name}: ${problem}`;
    }
    const names = subjectAltNames.map(({ type, hostname: host = "", uri = "" }) =>
      type === "URI" ? `URI:${uri}` : `DNS:${host}`,
    );
    return {
      hostname,
      authorities: caCertificateRefs.map((ref) => `${namespace}/${ref.name}`),
      ...(names.length > 0 && { names }),
    };
  }

  #problemOf({ kind, name }: ObjectRef, namespace: string): string {
    const text = this.#configMaps.get(`${namespace}/${name}`)?.data?.["ca.crt"] ?? "";
    const blocks = text.match(AUTHORITY) ?? [];
    if (kind !== "ConfigMap" || blocks.length === 0)
      return `there is no ca.crt in ${kind} ${namespace}/${name}`;
    for (const [i, block] of blocks.entries()) {
      try {
        new X509Certificate(block);
      } catch {
        return `number ${i + 1} in ca.crt of ConfigMap ${namespace}/${name} is no certificate`;
      }
    }
    return "";
  }
}
