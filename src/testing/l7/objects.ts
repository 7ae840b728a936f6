// Objects of HTTP routing for tests: short ways to write them, as an API server would hold them.
import { gatewayKinds } from "../../kube/gateway/read-gateway.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";

/** Checked and defaulted. */
export function objectsOf(...values: readonly object[]): KubeObject[] {
  const text = values.map((value) => JSON.stringify(value)).join("\n---\n");
  return parseManifests([{ file: "objects", text }], { carries: true, customKinds: gatewayKinds }).map(
    ({ object }) => object,
  );
}

export interface PathText {
  readonly path: string;
  readonly type?: string;
  /** "service" or "service:port"; the port is 80 where none is said. */
  readonly to: string;
}

export interface IngressText {
  readonly name?: string;
  readonly namespace?: string;
  /** By host; "": every one. */
  readonly hosts?: Readonly<Record<string, readonly PathText[]>>;
  readonly tls?: readonly object[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly defaultTo?: string;
  readonly created?: string;
  readonly className?: string;
}

/** Annotations are given without their prefix. */
export function ingress(given: IngressText): object {
  const { name = "web", namespace = "shop", hosts = {}, tls, annotations = {}, defaultTo, created } = given;
  const own = Object.entries(annotations).map(([key, value]) => [
    `nginx.ingress.kubernetes.io/${key}`,
    value,
  ]);
  const rules = Object.entries(hosts).map(([host, paths]) => ({
    ...(host !== "" && { host }),
    http: {
      paths: paths.map(({ path, type = "Prefix", to }) => ({ path, pathType: type, backend: backend(to) })),
    },
  }));
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: {
      ...{ name, namespace, annotations: Object.fromEntries(own) },
      ...(created !== undefined && { creationTimestamp: created }),
    },
    spec: {
      ...(given.className !== undefined && { ingressClassName: given.className }),
      ...(rules.length > 0 && { rules }),
      ...(tls !== undefined && { tls }),
      ...(defaultTo !== undefined && { defaultBackend: backend(defaultTo) }),
    },
  };
}

function backend(to: string): object {
  const [name, port = "80"] = to.split(":");
  return { service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } } };
}

/** A Service of one port, http at 80, and a slice of so many endpoints. */
export function served(name: string, endpoints = 2, namespace = "shop"): object[] {
  const hash = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) & 0xff, 7);
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { clusterIP: `10.96.0.${hash}`, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: `${name}-1`, namespace, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080 }],
      endpoints: Array.from({ length: endpoints }, (_, i) => ({ addresses: [`10.244.${hash}.${i + 2}`] })),
    },
  ];
}
