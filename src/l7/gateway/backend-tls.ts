// BackendTLSPolicies: which of a Service's backends are spoken to by TLS, as whom they have to show themselves, and who
// has to have signed that; and what a controller says of them at the Gateways from which routes lead to such a Service.
import { X509Certificate } from "node:crypto";
import type {
  BackendTlsPolicy,
  Gateway,
  GatewayCondition,
  ObjectRef,
} from "../../kube/gateway/gateway-objects.ts";
import { type ConfigMap, type KubeObject, keyOf } from "../../kube/objects.ts";
import { byAge } from "../by-age.ts";
import type { BackendTls } from "../decision.ts";
import { condition } from "./listeners.ts";
import { GATEWAY_CONTROLLER } from "./own-gateways.ts";
import type { ObjectStatus } from "./status.ts";

const GROUP = "gateway.networking.k8s.io";
const AUTHORITY = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Reason and message of ResolvedRefs, where it is False. */
type Problem = readonly [reason: string, message: string];

export class BackendTlsPolicies {
  /** The older first. */
  readonly #all: readonly BackendTlsPolicy[];
  /** By "namespace/service", the older first. */
  readonly #byService = new Map<string, BackendTlsPolicy[]>();
  readonly #configMaps = new Map<string, ConfigMap>();
  /** From which Gateways routes lead to what they are for. */
  readonly #gateways = new Map<BackendTlsPolicy, Set<Gateway>>();

  constructor(objects: readonly KubeObject[]) {
    const policies = objects.filter((each): each is BackendTlsPolicy => each.kind === "BackendTLSPolicy");
    this.#all = policies.sort(byAge);
    for (const policy of this.#all) {
      for (const name of new Set(servicesOf(policy).map((ref) => ref.name))) {
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
    const sections = (policy: BackendTlsPolicy): string[] =>
      servicesOf(policy)
        .filter((each) => each.name === name)
        .map(({ sectionName = "" }) => sectionName);
    const policy =
      all.find((each) => portName !== "" && sections(each).includes(portName)) ??
      all.find((each) => sections(each).includes(""));
    return policy === undefined ? undefined : this.#read(policy, namespace);
  }

  /** A route that is attached to the Gateway leads to this Service, "namespace/name". */
  reached(service: string, gateway: Gateway): void {
    for (const policy of this.#byService.get(service) ?? []) {
      const gateways = this.#gateways.get(policy) ?? new Set();
      this.#gateways.set(policy, gateways.add(gateway));
    }
  }

  get statuses(): ObjectStatus[] {
    return this.#all.map((policy) => {
      const gateways = [...(this.#gateways.get(policy) ?? [])];
      const conditions = gateways.length === 0 ? [] : this.#conditions(policy);
      const ancestors = gateways.map(({ metadata: { namespace = "", name } }) => ({
        ancestorRef: { group: GROUP, kind: "Gateway", namespace, name },
        controllerName: GATEWAY_CONTROLLER,
        conditions,
      }));
      return { object: `BackendTLSPolicy ${keyOf(policy)}`, ancestors };
    });
  }

  #conditions(policy: BackendTlsPolicy): GatewayCondition[] {
    const { caCertificateRefs = [] } = policy.spec.validation;
    const { namespace = "" } = policy.metadata;
    const found = caCertificateRefs.map((ref) => this.#problemOf(ref, namespace));
    const problems = found.filter((each) => each !== undefined);
    const isNobody = problems.length > 0 && problems.length === caCertificateRefs.length;
    const conflict = this.#conflictOf(policy);
    const accepted: [boolean, string, string] =
      conflict !== undefined
        ? [false, "Conflicted", conflict]
        : isNobody
          ? [false, "NoValidCACertificate", problems[0][1]]
          : [true, "Accepted", ""];
    const resolved: [boolean, string, string] =
      problems.length === 0 ? [true, "ResolvedRefs", ""] : [false, ...problems[0]];
    return [condition("Accepted", accepted), condition("ResolvedRefs", resolved)];
  }

  /** Undefined: something of what it is for is its own. */
  #conflictOf(policy: BackendTlsPolicy): string | undefined {
    const { namespace } = policy.metadata;
    let why: string | undefined;
    for (const ref of servicesOf(policy)) {
      const owner = (this.#byService.get(`${namespace}/${ref.name}`) ?? []).find((other) =>
        servicesOf(other).some(
          ({ name, sectionName = "" }) => name === ref.name && sectionName === (ref.sectionName ?? ""),
        ),
      );
      if (owner === policy) return undefined;
      why ??= `Service ${ref.name} is BackendTLSPolicy ${owner?.metadata.name}'s, which is older`;
    }
    return why;
  }

  #read({ metadata, spec }: BackendTlsPolicy, namespace: string): BackendTls | string {
    const { hostname, caCertificateRefs = [], subjectAltNames = [] } = spec.validation;
    for (const ref of caCertificateRefs) {
      const problem = this.#problemOf(ref, namespace);
      if (problem !== undefined) return `BackendTLSPolicy ${namespace}/${metadata.name}: ${problem[1]}`;
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

  #problemOf({ group, kind, name }: ObjectRef, namespace: string): Problem | undefined {
    if ((group ?? "") !== "" || kind !== "ConfigMap")
      return ["InvalidKind", `${kind} ${name}: only ConfigMaps hold authorities`];
    const text = this.#configMaps.get(`${namespace}/${name}`)?.data?.["ca.crt"] ?? "";
    const blocks = text.match(AUTHORITY) ?? [];
    const where = `ConfigMap ${namespace}/${name}`;
    if (blocks.length === 0) return ["InvalidCACertificateRef", `there is no ca.crt in ${where}`];
    for (const [i, block] of blocks.entries()) {
      try {
        new X509Certificate(block);
      } catch {
        return ["InvalidCACertificateRef", `number ${i + 1} in ca.crt of ${where} is no certificate`];
      }
    }
    return undefined;
  }
}

function servicesOf({ spec }: BackendTlsPolicy): BackendTlsPolicy["spec"]["targetRefs"] {
  return spec.targetRefs.filter(({ group, kind }) => (group ?? "") === "" && kind === "Service");
}
