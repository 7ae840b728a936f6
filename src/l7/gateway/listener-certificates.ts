// Certificates that a listener names: which of them it can show, and which one a client gets.
import type { Gateway, Listener, ObjectRef } from "../../kube/gateway/gateway-objects.ts";
import { type Certificate, type Certificates, covers } from "../certificates.ts";
import { intersect } from "../match/hostnames.ts";
import type { Grants } from "./grants.ts";

/** Reason and message of a condition that is False. */
type Problem = readonly [reason: string, message: string];

export interface ListenerCertificates {
  /** Those that can be shown, in the listener's order. */
  readonly certificates: readonly Certificate[];
  /** Of the first reference that leads to none; the others are shown all the same. */
  readonly problem?: Problem;
  /** Of those that are shown, a sentence each. */
  readonly warnings: readonly string[];
}

export interface CertificateWorld {
  readonly certificates: Certificates;
  readonly grants: Grants;
}

const NONE: ListenerCertificates = { certificates: [], warnings: [] };

/** Is TLS ended here? */
export function endsTls({ protocol, tls }: Listener): boolean {
  return protocol === "HTTPS" || (protocol === "TLS" && tls?.mode !== "Passthrough");
}

export function certificatesOf(
  gateway: Gateway,
  listener: Listener,
  world: CertificateWorld,
): ListenerCertificates {
  if (!endsTls(listener)) return NONE;
  const refs = listener.tls?.certificateRefs ?? [];
  if (refs.length === 0)
    return {
      ...NONE,
      problem: [
        "InvalidCertificateRef",
        `a listener of protocol ${listener.protocol} needs a certificate: tls.certificateRefs`,
      ],
    };
  const found = refs.map((ref) => certificateOf(gateway, ref, world));
  const problem = found.find((each): each is Problem => Array.isArray(each));
  const certificates = found.filter((each): each is Certificate => !Array.isArray(each));
  const hostname = (listener.hostname ?? "").toLowerCase();
  const strangers = certificates.filter(({ names }) => !names.some((name) => fits(name, hostname)));
  return {
    certificates,
    ...(problem !== undefined && { problem }),
    warnings: [
      ...certificates.flatMap(({ warnings }) => warnings),
      ...strangers.map(({ secret, names }) => {
        const own = names.join(", ") || "no name";
        return `the certificate of Secret ${secret} is for ${own}, and not for ${hostname}`;
      }),
    ],
  };
}

function certificateOf(
  gateway: Gateway,
  ref: ObjectRef,
  { certificates, grants }: CertificateWorld,
): Certificate | Problem {
  const { group, kind, name } = ref;
  if (group !== "" || kind !== "Secret")
    return ["InvalidCertificateRef", `${kind} ${name}: only Secrets hold certificates`];
  const namespace = ref.namespace ?? gateway.metadata.namespace ?? "";
  if (!grants.allows(gateway, ref))
    return ["RefNotPermitted", `no ReferenceGrant in ${namespace} lets this Gateway use Secret ${name}`];
  const found = certificates.find(namespace, name);
  return found.problem === "" ? found : ["InvalidCertificateRef", found.problem];
}

function fits(name: string, hostname: string): boolean {
  return intersect(hostname, name);
}

/** Of several the one that is for the name that TLS asks for, else the first. */
export function shownFor(certificates: readonly Certificate[], sni: string): Certificate | undefined {
  if (certificates.length < 2) return certificates[0];
  return certificates.find(({ names }) => covers(names, sni)) ?? certificates[0];
}
