// How manifests of AuthorizationPolicies are read, where somebody asks for them: as an API server would.

import type { CustomKinds } from "../manifest/custom-kind.ts";
import { decode } from "../manifest/decode.ts";
import { checkAuthorizationPolicy } from "../validate/routing/authorization-policy.ts";
import {
  AUTHORIZATION_POLICY,
  AUTHORIZATION_TYPES,
  type AuthorizationPolicy,
} from "./authorization-policy.ts";

const VERSIONS = [AUTHORIZATION_POLICY.apiVersion, ...(AUTHORIZATION_POLICY.formerVersions ?? [])];

export const policyKinds: CustomKinds = (apiVersion, kind) => {
  if (kind !== AUTHORIZATION_POLICY.kind || !VERSIONS.includes(apiVersion)) return undefined;
  return {
    info: AUTHORIZATION_POLICY,
    read: (value, _, problems) => {
      const object = decode(value, kind, problems, AUTHORIZATION_TYPES);
      if (!problems.any) checkAuthorizationPolicy(object as AuthorizationPolicy, problems);
      return object;
    },
  };
};
