// AuthorizationPolicy (security.istio.io/v1): who may reach workloads of a mesh, and how it asks. Nothing here exists at
// run time but what the kind is called and which fields it has.
import type { KindInfo } from "../kinds.ts";
import { KUBERNETES_TYPES, parseTypes } from "../manifest/kubernetes-types.ts";
import type { KubeObject } from "../objects.ts";

/** Of a source; each list is met by any of its values. `*` at one end of a value stands for any letters. */
export interface PolicySource {
  principals?: string[];
  notPrincipals?: string[];
  namespaces?: string[];
  notNamespaces?: string[];
  /** NAME, of the policy's namespace, or NAMESPACE/NAME. */
  serviceAccounts?: string[];
  notServiceAccounts?: string[];
  ipBlocks?: string[];
  notIpBlocks?: string[];
}

export interface PolicyOperation {
  hosts?: string[];
  notHosts?: string[];
  /** Numbers, as texts. */
  ports?: string[];
  notPorts?: string[];
  methods?: string[];
  notMethods?: string[];
  paths?: string[];
  notPaths?: string[];
}

export interface PolicyCondition {
  key: string;
  values?: string[];
  notValues?: string[];
}

/** All three are met, of `from` and `to` one entry each; what is left out is met. */
export interface PolicyRule {
  from?: { source: PolicySource }[];
  to?: { operation: PolicyOperation }[];
  when?: PolicyCondition[];
}

export type PolicyAction = "ALLOW" | "DENY" | "AUDIT";

/** Of the pods of its namespace that `selector` means. Left out, `action` is ALLOW. */
export type AuthorizationPolicy = KubeObject & {
  kind: "AuthorizationPolicy";
  spec?: {
    action?: PolicyAction;
    selector?: { matchLabels?: Record<string, string> };
    rules?: PolicyRule[];
  };
};

const GROUP = "security.istio.io";

export const AUTHORIZATION_POLICY: KindInfo = {
  kind: "AuthorizationPolicy",
  apiVersion: `${GROUP}/v1`,
  formerVersions: [`${GROUP}/v1beta1`],
  plural: "authorizationpolicies",
  singular: "authorizationpolicy",
  shortNames: ["ap"],
  namespaced: true,
  custom: true,
  stored: true,
};

const TYPES = `
  AuthorizationPolicy: apiVersion:s kind:s metadata:ObjectMeta spec:AuthorizationPolicySpec
  AuthorizationPolicySpec: action:s provider:any rules:[AuthorizationRule] selector:WorkloadSelector
      targetRef:any targetRefs:any
  AuthorizationRule: from:[AuthorizationFrom] to:[AuthorizationTo] when:[AuthorizationCondition]
  AuthorizationFrom: source:AuthorizationSource
  AuthorizationSource: ipBlocks:[s] namespaces:[s] notIpBlocks:[s] notNamespaces:[s] notPrincipals:[s]
      notRemoteIpBlocks:[s] notRequestPrincipals:[s] notServiceAccounts:[s] principals:[s] remoteIpBlocks:[s]
      requestPrincipals:[s] serviceAccounts:[s]
  AuthorizationTo: operation:AuthorizationOperation
  AuthorizationOperation: hosts:[s] methods:[s] notHosts:[s] notMethods:[s] notPaths:[s] notPorts:[s]
      paths:[s] ports:[s]
  AuthorizationCondition: key:s notValues:[s] values:[s]
  WorkloadSelector: matchLabels:{s}
`;

/** With the types of Kubernetes that it is made of. */
export const AUTHORIZATION_TYPES: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ...KUBERNETES_TYPES,
  ...parseTypes(TYPES),
]);
