// Resources that are asked and never stored: who am I, may I. Nobody is refused anything in a lab, so the answer is yes.
import type { Resource } from "./resource.ts";

export interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** What else is known of him: of a pod's program the pod. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

const review = (group: string, kind: string, plural: string, namespaced = false): Resource => ({
  ...{ group, version: "v1", kind, plural, singular: kind.toLowerCase(), namespaced },
  ...{ shortNames: [], categories: [], subresources: [], storedAs: undefined },
});

const AUTHENTICATION = "authentication.k8s.io";
const AUTHORIZATION = "authorization.k8s.io";

export const REVIEWS: readonly Resource[] = [
  review(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews"),
  review(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
  review(AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews"),
  review(AUTHORIZATION, "LocalSubjectAccessReview", "localsubjectaccessreviews", true),
  review(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
];

/** The review with its answer. */
export function reviewed({ kind, group, version }: Resource, body: unknown, user: User): object {
  const given = (typeof body === "object" && body !== null ? body : {}) as {
    metadata?: object;
    spec?: object;
  };
  const status = statusOf(kind, user);
  const { metadata = {}, spec } = given;
  return {
    kind,
    apiVersion: `${group}/${version}`,
    metadata,
    ...(spec === undefined ? {} : { spec }),
    status,
  };
}

function statusOf(kind: string, userInfo: User): object {
  if (kind === "SelfSubjectReview") return { userInfo };
  if (kind !== "SelfSubjectRulesReview") return { allowed: true, reason: "a lab refuses nobody" };
  const all = ["*"];
  return {
    resourceRules: [{ verbs: all, apiGroups: all, resources: all }],
    nonResourceRules: [{ verbs: all, nonResourceURLs: all }],
    incomplete: false,
  };
}
