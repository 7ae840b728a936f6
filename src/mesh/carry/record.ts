// A connection that was carried, or refused, as log and counters are told of it.
import type { Place } from "../hbone/connect-head.ts";
import type { PeerProblem } from "../identity/peer-certificate.ts";
import type { MeshPod } from "../world.ts";

/** Why a connection was not carried to its end: a closed list, for counters. */
export type RefusalCode =
  | PeerProblem
  | "handshake"
  | "malformed"
  | "forwarded"
  | "no_destination"
  | "policy"
  | "no_request"
  | "no_own_certificate"
  | "no_proxy"
  | "peer_unreachable"
  | "peer_identity"
  | "peer_refused"
  | "endpoint_unreachable"
  | "limit"
  | "flood";

/** As a sentence without an end. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly why: string;
}

/** Where this proxy stands: with the client, with the server, with both, or a client that shows no identity. */
export type Side = "outbound" | "inbound" | "local" | "plain";

export interface ConnectionRecord {
  readonly side: Side;
  readonly client: Place;
  readonly to: Place;
  readonly source: MeshPod | undefined;
  /** "spiffe://…"; "": it has shown none. */
  readonly sourceId: string;
  readonly destination: MeshPod | undefined;
  /** "namespace/name"; "": unknown, or several. */
  readonly service: string;
  /** The other proxy's address; "": there is none between. */
  readonly peer: string;
  readonly trace: string;
  readonly sent: number;
  readonly received: number;
  readonly durationMs: number;
  /** Undefined: it was carried. */
  readonly refusal: Refusal | undefined;
  /** Why it ended otherwise than by both ends' will; "": it did not. */
  readonly brokenBy: string;
  /** Policies of AUDIT that were met. */
  readonly audited: readonly string[];
}

export function refusal(code: RefusalCode, why: string): Refusal {
  return { code, why };
}
