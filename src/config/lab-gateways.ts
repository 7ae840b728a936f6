// spec.gateways of a Lab: who serves its Ingresses and Gateways.
import type { SchemaObject } from "ajv";

/** As lab.yaml has it. */
export interface LabGatewaySettings {
  /** False: nobody does. */
  readonly enabled?: boolean;
  /** The gateway of Ingresses is there before there is an Ingress. */
  readonly ingress?: boolean;
  /** Pods of each gateway. */
  readonly replicas?: number;
  /** These go to `podwire gateway` as they are. */
  readonly accessLog?: "stdout" | "off";
  readonly proxyProtocol?: "off" | "accept" | "require";
  readonly limits?: Readonly<Record<string, number>>;
}

const LIMITS = ["headerBytes", "headers", "headerSec", "idleSec", "bodyBytes", "connections", "streams"];
const REPLICAS_MAX = 10;

const closed = (properties: Record<string, SchemaObject>): SchemaObject => {
  return { type: "object", additionalProperties: false, properties };
};

export const labGatewaysSchema: SchemaObject = closed({
  enabled: { type: "boolean" },
  ingress: { type: "boolean" },
  replicas: { type: "integer", minimum: 1, maximum: REPLICAS_MAX },
  accessLog: { enum: ["stdout", "off"] },
  proxyProtocol: { enum: ["off", "accept", "require"] },
  limits: closed(Object.fromEntries(LIMITS.map((name) => [name, { type: "integer", minimum: 1 }]))),
});
