// CertificateSigningRequests (certificates.k8s.io/v1), as kube-apiserver refuses them (pkg/apis/certificates/validation).
// Of what is asked for (PKCS #10, RFC 2986) the outer form is read here: its signature is verified where there is
// cryptography (src/apiserver/signing).
import type { CertificateSigningRequest } from "kubernetes-types/certificates/v1.js";
import { deepEqual } from "../../../base/deep-equal.ts";
import type { FieldPath, FieldProblems } from "../../manifest/field-problems.ts";
import type { KubeObject } from "../../objects.ts";
import * as names from "../names.ts";
import { BIT_STRING, elementAt, SEQUENCE, sequenceOf } from "./der.ts";
import { blocksOf } from "./pem.ts";

export type SigningRequest = KubeObject & CertificateSigningRequest & { kind: "CertificateSigningRequest" };
type Condition = NonNullable<NonNullable<CertificateSigningRequest["status"]>["conditions"]>[number];

const USAGES = [
  ...[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
  ],
  ...["decipher only", "digital signature", "email protection", "encipher only", "ipsec end system"],
  ...["ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc"],
  ...["ocsp signing", "s/mime", "server auth", "signing", "timestamping"],
];
const SECONDS_LEAST = 600;
const LEGACY = "kubernetes.io/legacy-unknown";
/** Of these a condition that is there is true. */
const ANSWERS = ["Approved", "Denied", "Failed"];
const DOMAIN_MAX = 253;
const PATH_MAX = 571 - DOMAIN_MAX;
const CONDITIONS = ["status", "conditions"];
const CERTIFICATE = ["status", "certificate"];
/** What is signed, how, and the signature. */
export const SIGNED = [SEQUENCE, SEQUENCE, BIT_STRING];

export function validateSigningRequest(object: SigningRequest, problems: FieldProblems): void {
  const { request, usages = [], signerName = "", expirationSeconds } = object.spec ?? {};
  const why = requestProblem(request ?? "");
  if (why !== undefined) problems.invalid(["spec", "request"], request ?? "", why);
  if (usages.length === 0) problems.required(["spec", "usages"]);
  for (const [i, usage] of usages.entries()) {
    if (!USAGES.includes(usage)) problems.unsupported(["spec", "usages", i], usage, USAGES);
    if (usages.indexOf(usage) < i) problems.duplicate(["spec", "usages", i], usage);
  }
  const at = ["spec", "signerName"];
  if (signerName === LEGACY)
    problems.invalid(at, signerName, "the legacy signerName is not allowed via this API version");
  else checkSigner(signerName, at, problems);
  if (expirationSeconds !== undefined && expirationSeconds < SECONDS_LEAST) {
    const what = `may not specify a duration less than ${SECONDS_LEAST} seconds (10 minutes)`;
    problems.invalid(["spec", "expirationSeconds"], expirationSeconds, what);
  }
  checkConditions(object.status?.conditions ?? [], problems);
  const wrong = certificateProblem(object.status?.certificate ?? "");
  if (wrong !== undefined) problems.invalid(CERTIFICATE, "<certificate data>", wrong);
}

/** `subresource`: by which the update came; "": by none. */
export function validateRequestUpdate(
  next: SigningRequest,
  old: SigningRequest,
  subresource: string,
  problems: FieldProblems,
): void {
  for (const type of ANSWERS) {
    const [before, after] = [old, next].map((each) => conditionsOf(each, type));
    if (after.length < before.length)
      problems.forbidden(CONDITIONS, `updates may not remove a condition of type ${JSON.stringify(type)}`);
    else if (subresource === "approval" || type === "Failed") continue;
    else if (after.length > before.length)
      problems.forbidden(CONDITIONS, `updates may not add a condition of type ${JSON.stringify(type)}`);
    else if (!deepEqual(after, before))
      problems.forbidden(CONDITIONS, `updates may not modify a condition of type ${JSON.stringify(type)}`);
  }
  const [before, after] = [old, next].map(({ status }) => status?.certificate ?? "");
  if (after === before) return;
  if (subresource !== "status") problems.forbidden(CERTIFICATE, "updates may not set certificate content");
  else if (before !== "")
    problems.forbidden(CERTIFICATE, "updates may not modify existing certificate content");
}

export function conditionsOf({ status }: SigningRequest, type: string): Condition[] {
  return (status?.conditions ?? []).filter((each) => each.type === type);
}

function checkSigner(name: string, at: FieldPath, problems: FieldProblems): void {
  if (name === "") {
    problems.required(at);
    return;
  }
  const [domain, path, ...more] = name.split("/");
  if (path === undefined || more.length > 0) {
    const form = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    problems.invalid(at, name, form);
    return;
  }
  const labels = domain.split(".");
  if (labels.length < 2)
    problems.invalid(at, domain, "should be a domain with at least two segments separated by dots");
  for (const label of labels)
    for (const why of names.dns1123Label(label))
      problems.invalid(at, domain, `validating label ${JSON.stringify(label)}: ${why}`);
  for (const [text, max] of [
    [domain, DOMAIN_MAX],
    [path, PATH_MAX],
  ] as const)
    if (text.length > max) problems.add(at, `${at.join(".")}: Too long: may not be more than ${max} bytes`);
  for (const part of path.split("."))
    for (const why of names.dns1123Subdomain(part))
      problems.invalid(at, path, `validating label ${JSON.stringify(part)}: ${why}`);
}

function checkConditions(conditions: readonly Condition[], problems: FieldProblems): void {
  const types = conditions.map(({ type }) => type);
  for (const [i, { type = "", status = "" }] of conditions.entries()) {
    const at = [...CONDITIONS, i];
    if (type === "") problems.required([...at, "type"]);
    const known = ANSWERS.includes(type) ? ["True"] : ["False", "True", "Unknown"];
    problems.oneOf([...at, "status"], status, known);
    if (types.indexOf(type) < i) problems.duplicate([...at, "type"], type);
  }
  if (types.includes("Approved") && types.includes("Denied"))
    problems.invalid(CONDITIONS, "Approved,Denied", "Approved and Denied conditions are mutually exclusive");
}

/** `request`: base64 of PEM; undefined: it is none that asks for a certificate. */
export function requestBytes(request: string): Uint8Array | undefined {
  const [block] = blocksOf(request);
  return block?.type === "CERTIFICATE REQUEST" ? block.bytes : undefined;
}

function requestProblem(request: string): string | undefined {
  const der = requestBytes(request);
  if (der === undefined) return "PEM block type must be CERTIFICATE REQUEST";
  const whole = elementAt(der, 0);
  if (whole === undefined) return "asn1: syntax error: data truncated";
  if (whole.tag === SEQUENCE && whole.end < der.length) return "asn1: syntax error: trailing data";
  return sequenceOf(der, SIGNED) === undefined ? "asn1: structure error: tags don't match" : undefined;
}

function certificateProblem(certificate: string): string | undefined {
  if (certificate === "") return undefined;
  const blocks = blocksOf(certificate);
  for (const { type, hasHeaders, bytes } of blocks) {
    if (type !== "CERTIFICATE")
      return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (hasHeaders) return "no PEM block headers are permitted";
    if (bytes.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    if (sequenceOf(bytes, SIGNED) === undefined) return "x509: malformed certificate";
  }
  return blocks.length === 0 ? "must contain at least one CERTIFICATE PEM block" : undefined;
}
