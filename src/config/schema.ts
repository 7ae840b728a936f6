// JSON schemas of podwire's own files (podwire.dev/v1alpha1), and how their errors read in the words of field errors.
import { Ajv, type ErrorObject, type SchemaObject } from "ajv";
import { type FieldPath, type FieldProblems, formatPath } from "../kube/manifest/field-problems.ts";
import { conntrackSysctlSchema } from "./conntrack.ts";
import { labGatewaysSchema } from "./lab-gateways.ts";
import { labMeshSchema } from "./lab-mesh.ts";

const text: SchemaObject = { type: "string", minLength: 1 };
const boolean: SchemaObject = { type: "boolean" };
const closed = (properties: Record<string, SchemaObject>, required: string[] = []): SchemaObject => ({
  type: "object",
  additionalProperties: false,
  required,
  properties,
});
const listOf = (items: SchemaObject): SchemaObject => ({ type: "array", items });
const head = {
  apiVersion: { type: "string" },
  kind: { type: "string" },
  metadata: closed({ name: text }),
};
const tunnel = {
  type: { enum: ["none", "vxlan"] },
  vni: { type: "integer", minimum: 0, maximum: 0xffffff },
  port: { type: "integer", minimum: 1, maximum: 65535 },
  sourcePortRange: text,
  sourcePorts: { type: "integer", minimum: 1, maximum: 65535 },
};
const overlay = closed(tunnel, ["type"]);
/** A lab writes its Node objects itself, and its nodes are all on one fabric. */
const agentOverlay = closed({ ...tunnel, directRouting: boolean, flannel: boolean }, ["type"]);
const driver = { enum: ["packet", "pcap"] };
const proxy = { type: "object" }; // checked by readProxyConfig
const podSecurity = { type: "object" }; // checked by readPodSecurity

/** How the data plane works; a lab hands them to its agents as they are. */
const conntrack = closed({
  max: { type: "integer", minimum: 1 },
  helpers: listOf({ enum: ["ftp"] }),
  ...conntrackSysctlSchema,
});
const dataplane = closed({
  workers: {}, // checked by readWorkers
  spinMicroseconds: { type: "integer", minimum: 0, maximum: 1_000_000 },
  pauseMicroseconds: { type: "integer", minimum: 0, maximum: 1000 },
  cpuLatencyMicroseconds: { type: "integer", minimum: -1, maximum: 1_000_000 },
  nice: { type: "integer", minimum: -20, maximum: 0 },
  antiSpoofing: { type: "boolean" },
  leastConnections: { type: "boolean" },
  resetRemovedEndpoints: { type: "boolean" },
  mssClamp: { type: "boolean" },
  keepClientAddress: { type: "boolean" },
  datagramQueueKiB: { type: "integer", minimum: 0, maximum: 1_048_576 },
  joinDatagrams: { type: "boolean" },
  joinWithoutChecksum: { type: "boolean" },
  tunnelBundles: { type: "boolean" },
  tunnelGso: { type: "boolean" },
});
const policy = closed({ established: { enum: ["keep", "recheck"] } });
const mesh = closed({ whenAway: { enum: ["refuse", "bypass"] } });

const kubernetes = closed({
  kubeconfig: text,
  context: text,
  servers: listOf(text),
  stateFile: { type: "string" },
});

const seconds: SchemaObject = { type: "integer", minimum: 0, maximum: 604_800 };
const dns = {
  zone: text,
  ttl: { ...seconds, maximum: 3600 }, // as CoreDNS takes it
  forward: { anyOf: [text, listOf(text)] },
  stubDomains: { type: "object", additionalProperties: listOf(text) },
  hosts: listOf(closed({ ip: text, hostnames: listOf(text) }, ["ip", "hostnames"])),
  cache: closed({
    size: { type: "integer", minimum: 0, maximum: 1_000_000 },
    maxTtl: seconds,
    maxNegativeTtl: seconds,
  }),
  autopath: boolean,
  log: boolean,
};

const LAB: SchemaObject = closed({
  ...head,
  spec: closed({
    clusterCIDR: text,
    serviceCIDR: text,
    overlay,
    proxy,
    conntrack,
    dataplane,
    policy,
    podSecurity,
    gateways: labGatewaysSchema,
    mesh: labMeshSchema,
    images: listOf(closed({ match: text, run: listOf({ type: "string" }) }, ["match", "run"])),
    dns: closed({ enabled: boolean, ...dns }),
    loadBalancer: closed({ pool: { anyOf: [text, listOf(text)] } }, ["pool"]),
    nodes: listOf(
      closed(
        {
          name: text,
          address: text,
          podCIDR: text,
          agent: { enum: ["kernel", "podwire"] },
          labels: { type: "object", additionalProperties: { type: "string" } },
          uplink: closed({ driver }),
        },
        ["name"],
      ),
    ),
    clients: listOf(closed({ name: text, address: text }, ["name"])),
    manifests: listOf(text),
  }),
});

const AGENT: SchemaObject = closed(
  {
    ...head,
    nodeName: text,
    clusterCIDR: text,
    serviceCIDR: text,
    fabricCIDR: text,
    overlay: agentOverlay,
    netns: text,
    uplink: closed({
      ...{ interface: text, driver, gateway: text, masqueradePorts: text },
      mode: { enum: ["exclusive", "shared"] },
    }),
    host: closed({ interface: text }, ["interface"]),
    nodePortRange: text,
    socket: text,
    source: {
      type: "object",
      oneOf: [closed({ files: listOf(text) }, ["files"]), closed({ kubernetes }, ["kubernetes"])],
    },
    proxy,
    conntrack,
    dataplane,
    policy,
    mesh,
    cni: closed({ leaseFile: text }),
  },
  ["clusterCIDR", "serviceCIDR", "source"],
);

const DNS: SchemaObject = closed({
  ...head,
  ...dns,
  listen: listOf(text),
  metrics: text,
  source: {
    type: "object",
    oneOf: [
      closed({ files: listOf(text) }, ["files"]),
      closed({ kubernetes: closed({ kubeconfig: text, context: text, servers: listOf(text) }) }, [
        "kubernetes",
      ]),
    ],
  },
});

const portNumber: SchemaObject = { type: "integer", minimum: 1, maximum: 65535 };
const upTo = (maximum: number, minimum = 1): SchemaObject => ({ type: "integer", minimum, maximum });

const objectSource: SchemaObject = {
  type: "object",
  oneOf: [
    closed({ files: listOf(text) }, ["files"]),
    closed({ kubernetes: closed({ kubeconfig: text, context: text, servers: listOf(text) }) }, [
      "kubernetes",
    ]),
  ],
};
const logTarget: SchemaObject = { anyOf: [{ enum: ["stdout", "off"] }, closed({ file: text }, ["file"])] };

/** Of `podwire gateway`; its kind may be left out. */
const GATEWAY: SchemaObject = closed(
  {
    ...head,
    source: objectSource,
    ingress: closed({ http: portNumber, https: portNumber }),
    gateways: { anyOf: [text, listOf(text)] },
    address: { anyOf: [text, listOf(text)] },
    proxyProtocol: { enum: ["off", "accept", "require"] },
    accessLog: logTarget,
    metrics: closed({ address: text, port: portNumber }, ["port"]),
    limits: closed({
      headerBytes: upTo(1 << 20, 1024),
      headers: upTo(1000),
      headerSec: upTo(3600),
      idleSec: upTo(86_400),
      stallSec: upTo(86_400),
      bodyBytes: { type: "integer", minimum: 0 },
      connections: upTo(1_000_000),
      streams: upTo(10_000),
      streamIdleSec: upTo(7 * 86_400),
      flowIdleSec: upTo(86_400),
      flows: upTo(65_536),
    }),
    status: {
      type: "object",
      oneOf: [
        closed({ addresses: listOf(text), lease: text }, ["addresses"]),
        closed({ service: text, lease: text }, ["service"]),
      ],
    },
    drainSec: upTo(3600, 0),
    workers: upTo(256),
    nodeName: text,
    zone: text,
  },
  ["source"],
);

/** Of `podwire mesh`; its kind may be left out. */
const MESH: SchemaObject = closed(
  {
    ...head,
    source: objectSource,
    ...{ nodeName: text, trustDomain: text, trustBundle: text, device: text, agent: text },
    identities: closed({ directory: text }, ["directory"]),
    plain: { enum: ["refuse", "allow"] },
    ...{ hbonePort: portNumber, capturePort: portNumber },
    accessLog: logTarget,
    metrics: closed({ address: text, port: portNumber }, ["port"]),
    limits: closed({
      ...{ connections: upTo(1_000_000), sessions: upTo(100_000), streams: upTo(10_000) },
      ...{ helloSec: upTo(3600), connectSec: upTo(3600), idleSec: upTo(7 * 86_400) },
    }),
    drainSec: upTo(3600, 0),
  },
  ["source"],
);

/** Every field of a kind, lists by [*]: "spec.nodes[*].name". Objects that others check count as one. */
export function schemaFields(kind: "Lab" | "AgentConfiguration"): string[] {
  return fieldsBelow(sources[kind], "");
}

function fieldsBelow(schema: SchemaObject, at: string): string[] {
  if (schema.type === "array") return fieldsBelow(schema.items as SchemaObject, `${at}[*]`);
  const properties = schema.properties as Record<string, SchemaObject> | undefined;
  if (properties === undefined) return [at];
  return Object.entries(properties).flatMap(([name, each]) =>
    fieldsBelow(each, at === "" ? name : `${at}.${name}`),
  );
}

/**
 * A schema is compiled once a process and used once: its code is not made shorter first, and it is not held to JSON
 * Schema's own schema (words and their types are looked at as it is compiled). 45 ms of an agent's start instead of 75.
 */
const ajv = new Ajv({
  ...{ allErrors: true, strict: true, strictTypes: false, verbose: true },
  ...{ validateSchema: false, code: { optimize: false } },
});
const schemas: Record<string, ReturnType<typeof ajv.compile> | undefined> = {};
const sources: Record<string, SchemaObject> = {
  ...{ Lab: LAB, AgentConfiguration: AGENT, DNSConfiguration: DNS, GatewayConfiguration: GATEWAY },
  MeshConfiguration: MESH,
};

/** Reports what the schema of this kind finds in `value`. */
export function checkSchema(kind: string, value: unknown, problems: FieldProblems): void {
  const validate = (schemas[kind] ??= ajv.compile(sources[kind]));
  if (validate(value)) return;
  for (const error of validate.errors ?? []) report(error, problems);
}

function report(error: ErrorObject, problems: FieldProblems): void {
  const path: FieldPath = error.instancePath
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const params = error.params as Record<string, unknown>;
  // Alternatives of `source` are told by the one error of the choice itself.
  if (/\/(?:one|any)Of\//.test(error.schemaPath)) return;
  const { keyword, data } = error;
  if (keyword === "required") problems.required([...path, String(params.missingProperty)]);
  else if (keyword === "additionalProperties") {
    const field = [...path, String(params.additionalProperty)];
    problems.add(field, `unknown field ${JSON.stringify(formatPath(field))}`, true);
  } else if (keyword === "enum") problems.unsupported(path, data, params.allowedValues as string[]);
  else if (keyword === "oneOf") problems.invalid(path, data, `must have one of ${choiceOf(error)}`);
  else if (keyword === "anyOf" && path.at(-1) === "accessLog")
    problems.invalid(path, data, "must be stdout, off, or { file: … }");
  else if (keyword === "anyOf") problems.invalid(path, data, "must be a text or a list of texts");
  else if (keyword === "if")
    return; // what is wrong in the branch was told
  else if (keyword === "minLength") problems.required(path);
  else problems.invalid(path, data, error.message ?? keyword);
}

/** The field of each alternative. */
function choiceOf({ schema }: ErrorObject): string {
  const fields = (schema as SchemaObject[]).flatMap(({ required }) => required as string[]);
  return `${fields.slice(0, -1).join(", ")} and ${fields.at(-1)}`;
}
