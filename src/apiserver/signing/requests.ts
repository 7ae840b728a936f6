// CertificateSigningRequests: what of one is its server's and not its author's (kube-apiserver's strategies). Who asks is
// who called; what was asked for does not change; approval and status change each its own part.
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import type { KubeObject } from "../../kube/objects.ts";
import {
  conditionsOf,
  requestBytes,
  type SigningRequest,
  validateRequestUpdate,
} from "../../kube/validate/signing/signing-request.ts";
import type { User } from "../reviews.ts";
import { type ErrorResource, forbidden, invalid } from "../status.ts";
import { organizationsOf, signatureProblem } from "./request-signature.ts";

const KIND = "CertificateSigningRequest";
const DECIDED = ["Approved", "Denied"];
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";
const MASTERS = "system:masters";

/** A new object: who asks for it, where it is a request. */
export function asked(object: KubeObject, { username, uid, groups, extra }: User): void {
  if (object.kind !== KIND) return;
  const request = object as SigningRequest;
  const { username: _, uid: __, groups: ___, extra: ____, ...spec } = request.spec ?? {};
  const who = { username, ...(uid !== undefined && { uid }), groups: [...groups], ...(extra && { extra }) };
  Object.assign(request, { spec: { ...spec, ...who } });
}

/** A request as an update leaves it; other objects as they are. `nowText`: RFC 3339. */
export function decided(next: KubeObject, old: KubeObject, subresource: string, nowText: string): KubeObject {
  if (next.kind !== KIND) return next;
  const [after, before] = [next, old] as SigningRequest[];
  const { spec, status = {} } = before;
  const conditions = conditionsAfter(after, before, subresource, nowText);
  const given = conditions.length === 0 ? {} : { conditions };
  const { conditions: _, ...others } = status;
  if (subresource === "approval") return { ...after, spec, status: { ...others, ...given } } as KubeObject;
  if (subresource !== "status") return { ...after, spec, ...(before.status && { status }) } as KubeObject;
  return { ...after, spec, status: { ...after.status, ...given } } as KubeObject;
}

/** A new request: its key has signed it, and it asks no signer for what that one gives nobody. Throws a StatusError. */
export function checkAsked(object: KubeObject, resource: ErrorResource): void {
  if (object.kind !== KIND) return;
  const { metadata, spec } = object as SigningRequest;
  const der = requestBytes(spec.request) ?? new Uint8Array();
  const why = signatureProblem(der);
  const problems = new FieldProblems();
  if (why !== undefined) problems.invalid(["spec", "request"], spec.request, why);
  if (problems.any) throw invalid(resource, metadata.name, problems.list);
  if (spec.signerName === CLIENT_SIGNER && organizationsOf(der).includes(MASTERS))
    throw forbidden(
      resource,
      metadata.name,
      `use of ${CLIENT_SIGNER} signer with ${MASTERS} group is not allowed`,
    );
}

export function checkDecided(
  next: KubeObject,
  old: KubeObject,
  subresource: string,
  problems: FieldProblems,
): void {
  if (next.kind === KIND)
    validateRequestUpdate(next as SigningRequest, old as SigningRequest, subresource, problems);
}

/** With their times; those that the status may not touch are as they were. */
function conditionsAfter(
  after: SigningRequest,
  before: SigningRequest,
  subresource: string,
  nowText: string,
): object[] {
  return (after.status?.conditions ?? []).map((given) => {
    const own = conditionsOf(before, given.type);
    const isKept = subresource === "status" && DECIDED.includes(given.type);
    if (isKept && own.length === conditionsOf(after, given.type).length) return own[0];
    const same = own.find(({ status }) => status === given.status);
    return {
      ...given,
      lastUpdateTime: given.lastUpdateTime ?? nowText,
      lastTransitionTime: given.lastTransitionTime ?? same?.lastTransitionTime ?? nowText,
    };
  });
}
