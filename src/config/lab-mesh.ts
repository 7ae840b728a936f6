// spec.mesh of a Lab: the proxies that run where a namespace has the label podwire.dev/mesh: enabled.
import type { SchemaObject } from "ajv";

/** As lab.yaml has it. */
export interface LabMeshSettings {
  /** False: the lab runs no proxies and signs nothing; whoever has pods of its own with their label. */
  readonly enabled?: boolean;
  /** How long an identity's certificate is good. */
  readonly certificateSec?: number;
  /** What becomes of new connections where a node's proxy is not there; goes to the agents as it is. */
  readonly whenAway?: "refuse" | "bypass";
  /** These go to `podwire mesh` as they are. */
  readonly plain?: "refuse" | "allow";
  readonly accessLog?: "stdout" | "off";
}

const CERTIFICATE_LEAST_SEC = 6; // renewed after 4, which a busy machine keeps to
const CERTIFICATE_MOST_SEC = 7 * 86_400;

export const labMeshSchema: SchemaObject = {
  type: "object",
  additionalProperties: false,
  properties: {
    enabled: { type: "boolean" },
    certificateSec: { type: "integer", minimum: CERTIFICATE_LEAST_SEC, maximum: CERTIFICATE_MOST_SEC },
    whenAway: { enum: ["refuse", "bypass"] },
    plain: { enum: ["refuse", "allow"] },
    accessLog: { enum: ["stdout", "off"] },
  },
};
