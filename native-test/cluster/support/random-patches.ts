// Objects that one applies, updates and patches at random, from few names and values, so that they meet.
import fc from "fast-check";
import type { Json, JsonObject } from "../../../src/apiserver/schema/schema.ts";

export interface Step {
  readonly type: string;
  readonly manager: string;
  readonly isForced: boolean;
  /** From what is there. */
  body(live: JsonObject): Json;
}

export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly hasStatus: boolean;
  readonly scenario: fc.Arbitrary<Step[]>;
  /** What an API server fills in of what these patches touch. Changes what it is given. */
  withDefaults(object: JsonObject): JsonObject;
}

const APPLY = "application/apply-patch+yaml";
const JSON_PATCH = "application/json-patch+json";
const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";

const text = fc.constantFrom("1", "2");
const names = fc.constantFrom("a", "b", "c");
const labels = fc.dictionary(names, text, { minKeys: 1, maxKeys: 3 });
const finalizers = fc.uniqueArray(fc.constantFrom("x.io/a", "x.io/b", "x.io/c"), { minLength: 1 });
const env = fc.uniqueArray(fc.record({ name: fc.constantFrom("X", "Y", "Z"), value: text }), {
  ...{ selector: (one: { name: string }) => one.name, minLength: 1, maxLength: 3 },
});
const ports = fc.uniqueArray(
  fc.record(
    { containerPort: fc.constantFrom(80, 81), protocol: fc.constantFrom("TCP", "UDP"), name: names },
    { requiredKeys: ["containerPort"] },
  ),
  { selector: (one) => `${one.containerPort}/${one.protocol ?? "TCP"}`, minLength: 1 },
);
const container = fc.record(
  { name: names, image: fc.constantFrom("i:1", "i:2"), env, ports, args: fc.array(text, { minLength: 1 }) },
  { requiredKeys: ["name", "image"] },
);
const containers = (minLength: number) =>
  fc.uniqueArray(container, { selector: ({ name }) => name, minLength, maxLength: 3 });
const tolerations = fc.array(fc.record({ key: names, operator: fc.constant("Exists") }), { maxLength: 2 });

/** Fields that are undefined are not there. */
const some = <T extends Record<string, fc.Arbitrary<unknown>>>(of: T, ...required: (keyof T & string)[]) =>
  fc.record(of, { requiredKeys: required as never[] }) as fc.Arbitrary<JsonObject>;
const meta = some({ labels, finalizers, annotations: labels });

// --- Deployments
const deployment = fc
  .tuple(
    meta,
    some({
      replicas: fc.constantFrom(1, 2),
      paused: fc.boolean(),
      strategy: fc.constantFrom<Json>(
        { type: "Recreate" },
        { type: "RollingUpdate", rollingUpdate: { maxSurge: 2 } },
      ),
    }),
    some(
      {
        containers: containers(1),
        nodeSelector: labels,
        tolerations,
        volumes: fc.constantFrom<Json>(
          [{ name: "v", emptyDir: {} }],
          [
            { name: "v", hostPath: { path: "/a" } },
            { name: "w", emptyDir: { medium: "Memory" } },
          ],
        ),
      },
      "containers",
    ),
  )
  .map(([metadata, more, spec]) => ({
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata },
    spec: {
      ...{ ...more, selector: { matchLabels: { app: "x" } } },
      template: { metadata: { labels: { app: "x" } }, spec },
    },
  })) as fc.Arbitrary<JsonObject>;

const item = fc.oneof(
  container,
  fc.record({ name: names, $patch: fc.constant("delete") }),
  some({ name: names, env, args: fc.constantFrom<Json>(null, ["3"]), ports }, "name"),
);
/** Without an order Go adds and takes away in whichever order it comes to them. */
function inOneOrder(metadata: JsonObject): JsonObject {
  if ("$setElementOrder/finalizers" in metadata || !("finalizers" in metadata)) return metadata;
  const { "$deleteFromPrimitiveList/finalizers": _one, ...rest } = metadata;
  return rest;
}

const order = fc.uniqueArray(names, { minLength: 1 });
const strategicSpec = fc
  .tuple(
    some({
      containers: fc.uniqueArray(item, { selector: (one) => (one as { name: string }).name, maxLength: 2 }),
      nodeSelector: fc.oneof(labels, fc.constant(null)),
      tolerations,
      volumes: fc.constantFrom<Json>(
        [{ name: "v", $retainKeys: ["name", "hostPath"], hostPath: { path: "/b" } }],
        [{ name: "w", $patch: "delete" }],
        [{ $patch: "replace" }, { name: "u", emptyDir: {} }],
      ),
    }),
    fc.option(order, { nil: undefined }),
  )
  .map(([spec, wanted]) => {
    const inOrder = wanted?.map((name) => ({ name }));
    return { ...spec, ...(inOrder === undefined ? {} : { "$setElementOrder/containers": inOrder }) };
  });
const strategic = fc
  .tuple(
    some({
      labels: fc.oneof(labels, fc.constant({ a: null })),
      finalizers,
      "$deleteFromPrimitiveList/finalizers": finalizers,
      "$setElementOrder/finalizers": finalizers,
    }).map(inOneOrder),
    some({
      replicas: fc.constantFrom<Json>(1, 3, null),
      strategy: fc.constantFrom<Json>(
        { $retainKeys: ["type"], type: "Recreate" },
        { $retainKeys: ["rollingUpdate", "type"], type: "RollingUpdate", rollingUpdate: { maxSurge: 3 } },
        { $patch: "replace", type: "Recreate" },
      ),
    }),
    strategicSpec,
  )
  .map(([metadata, more, spec]) => ({
    metadata,
    spec: { ...more, template: { spec } },
  })) as fc.Arbitrary<JsonObject>;
const merge = fc
  .tuple(
    some({
      labels: fc.oneof(labels, fc.constant(null)),
      finalizers: fc.oneof(finalizers, fc.constant(null)),
    }),
    some({ replicas: fc.constantFrom<Json>(1, 2, null), nothing: text }),
    some({
      containers: containers(1),
      nodeSelector: fc.oneof(labels, fc.constant({ a: null })),
      tolerations,
    }),
  )
  .map(([metadata, more, spec]) => ({
    metadata,
    spec: { ...more, template: { spec } },
  })) as fc.Arbitrary<JsonObject>;

const CONTAINERS = "/spec/template/spec/containers";
const operation = fc.oneof(
  fc.record({
    op: fc.constantFrom("add", "replace", "test"),
    path: fc.constant("/spec/replicas"),
    value: fc.constantFrom(1, 2),
  }),
  fc.record({
    op: fc.constantFrom("remove"),
    path: fc.constantFrom("/metadata/labels", "/metadata/labels/a", "/spec/template/spec/nodeSelector"),
  }),
  fc.record({
    op: fc.constantFrom("add", "replace"),
    path: fc.constantFrom("/metadata/labels/a", "/metadata/annotations/b"),
    value: text,
  }),
  fc.record({
    op: fc.constant("add"),
    path: fc.constantFrom(`${CONTAINERS}/-`, `${CONTAINERS}/0`, `${CONTAINERS}/7`),
    value: container,
  }),
  fc.record({
    op: fc.constant("remove"),
    path: fc.constantFrom(`${CONTAINERS}/1`, `${CONTAINERS}/-1`, `${CONTAINERS}/0/env`),
  }),
  fc.record({
    op: fc.constantFrom("copy", "move"),
    from: fc.constantFrom("/metadata/labels", "/spec/replicas", "/metadata/annotations"),
    path: fc.constantFrom("/metadata/annotations", "/metadata/labels", "/spec/revisionHistoryLimit"),
  }),
);
const jsonPatch = fc.array(operation, { minLength: 1, maxLength: 3 }) as unknown as fc.Arbitrary<Json>;

const manager = fc.constantFrom("one", "two", "kubectl");
const updater = fc.constantFrom("edit", "tool", "one");

function steps(
  config: fc.Arbitrary<JsonObject>,
  merges: fc.Arbitrary<Json>,
  strategics: fc.Arbitrary<Json>,
  patches: fc.Arbitrary<Json>,
): fc.Arbitrary<Step[]> {
  const step = (type: string, bodies: fc.Arbitrary<Json>, who: fc.Arbitrary<string>) =>
    fc.record({
      type: fc.constant(type),
      manager: who,
      isForced: fc.boolean(),
      body: bodies.map((one) => () => one),
    });
  const any = fc.oneof(
    { arbitrary: step(APPLY, config, manager), weight: 4 },
    { arbitrary: step(MERGE, merges, updater), weight: 1 },
    { arbitrary: step(STRATEGIC, strategics, updater), weight: 2 },
    { arbitrary: step(JSON_PATCH, patches, updater), weight: 1 },
  );
  const first = step(APPLY, config, manager);
  return fc
    .tuple(first, fc.array(any, { minLength: 4, maxLength: 9 }))
    .map(([begin, more]) => [begin, ...more]) as fc.Arbitrary<Step[]>;
}

function fill(object: JsonObject, defaults: JsonObject): JsonObject {
  for (const [name, value] of Object.entries(defaults)) {
    if (object[name] === undefined || object[name] === null) object[name] = value;
  }
  return object;
}

function deploymentDefaults(object: JsonObject): JsonObject {
  const spec = object.spec as JsonObject;
  fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} });
  const strategy = fill(spec.strategy as JsonObject, { type: "RollingUpdate" });
  if (strategy.type === "RollingUpdate") {
    fill(strategy, { rollingUpdate: {} });
    fill(strategy.rollingUpdate as JsonObject, { maxSurge: "25%", maxUnavailable: "25%" });
  }
  if (spec.paused === false) delete spec.paused;
  const pod = (spec.template as JsonObject).spec as JsonObject;
  fill(pod, { restartPolicy: "Always", terminationGracePeriodSeconds: 30, dnsPolicy: "ClusterFirst" });
  fill(pod, { schedulerName: "default-scheduler" });
  for (const one of (pod.containers ?? []) as JsonObject[]) {
    fill(one, { terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" });
    fill(one, { imagePullPolicy: "IfNotPresent" });
    for (const port of (one.ports ?? []) as JsonObject[]) fill(port, { protocol: "TCP" });
  }
  for (const volume of (pod.volumes ?? []) as JsonObject[]) {
    if (volume.hostPath !== undefined) fill(volume.hostPath as JsonObject, { type: "" });
    else fill(volume, { emptyDir: {} });
  }
  return object;
}

// --- ConfigMaps and Services
const configMap = fc
  .tuple(
    meta,
    some({ data: labels, binaryData: fc.dictionary(fc.constantFrom("x", "y"), fc.constant("AA==")) }),
  )
  .map(([metadata, more]) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata,
    ...more,
  })) as fc.Arbitrary<JsonObject>;
const someData = fc.dictionary(names, fc.oneof(text, fc.constant(null)));
const dataPatch = fc
  .tuple(some({ labels, finalizers }), some({ data: fc.oneof(someData, fc.constant(null)) }))
  .map(([metadata, more]) => ({ metadata, ...more })) as fc.Arbitrary<JsonObject>;
const dataOperations = fc.array(
  fc.oneof(
    fc.record({
      op: fc.constantFrom("add", "replace", "test"),
      path: fc.constantFrom("/data/a", "/data/b"),
      value: text,
    }),
    fc.record({ op: fc.constant("remove"), path: fc.constantFrom("/data/a", "/data/c", "/data") }),
  ),
  { minLength: 1, maxLength: 3 },
) as unknown as fc.Arbitrary<Json>;

const servicePort = fc.record(
  {
    name: names,
    port: fc.constantFrom(80, 81),
    protocol: fc.constantFrom("TCP", "UDP"),
    targetPort: fc.constantFrom<Json>(1, "x"),
  },
  { requiredKeys: ["name", "port", "protocol"] },
);
const servicePorts = fc.uniqueArray(servicePort, {
  selector: ({ name }) => name,
  minLength: 1,
  maxLength: 3,
});
const service = fc
  .tuple(meta, some({ selector: labels, ports: servicePorts }, "ports"))
  .map(([metadata, spec]) => ({
    ...{ apiVersion: "v1", kind: "Service", metadata },
    spec: { ...spec, clusterIP: "None" },
  })) as fc.Arbitrary<JsonObject>;
const servicePatch = fc
  .tuple(
    some({ labels, finalizers }),
    some({
      selector: fc.oneof(labels, fc.constant({ a: null })),
      ports: fc.oneof(servicePorts, fc.constant<Json>([{ port: 80, $patch: "delete" }])),
      "$setElementOrder/ports": fc.constantFrom<Json>([{ port: 81 }, { port: 80 }], [{ port: 80 }]),
    }),
  )
  .map(([metadata, spec]) => ({ metadata, spec })) as fc.Arbitrary<JsonObject>;

function serviceDefaults(object: JsonObject): JsonObject {
  const spec = object.spec as JsonObject;
  fill(spec, {
    type: "ClusterIP",
    sessionAffinity: "None",
    internalTrafficPolicy: "Cluster",
    clusterIP: "None",
  });
  fill(spec, { clusterIPs: ["None"] });
  // Whoever selects nobody may have addresses of both families.
  if (spec.selector === undefined)
    fill(spec, { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" });
  fill(spec, { ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" });
  for (const port of (spec.ports ?? []) as JsonObject[]) {
    fill(port, { protocol: "TCP" });
    fill(port, { targetPort: port.port });
  }
  return object;
}

export const PATCHED_KINDS: readonly Kind[] = [
  {
    ...{ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps", hasStatus: false },
    scenario: steps(configMap, dataPatch, dataPatch, dataOperations),
    withDefaults: (object) => object,
  },
  {
    ...{ apiVersion: "apps/v1", kind: "Deployment", plural: "deployments", hasStatus: true },
    scenario: steps(deployment, merge, strategic, jsonPatch),
    withDefaults: deploymentDefaults,
  },
  {
    ...{ apiVersion: "v1", kind: "Service", plural: "services", hasStatus: true },
    scenario: steps(service, servicePatch, servicePatch, jsonPatch),
    withDefaults: serviceDefaults,
  },
];
