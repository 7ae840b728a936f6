// The objects that podwire's gateway has in the benchmark: an Ingress with so many routes to one Service, another one for
// gRPC, and slices that change.

export const HOST = "shop.example";
/** A service and method of gRPC; the path of its own Ingress. */
export const GRPC_PATH = "/bench.Echo/Say";
const NAMESPACE = "shop";
const PORT = 80;

/** Paths of a fixed length, so that one costs as much as another. */
export function pathOf(i: number): string {
  return `/item${String(i).padStart(5, "0")}`;
}

export function routesOf(count: number): object[] {
  const web = { service: { name: "web", port: { number: PORT } } };
  const paths = Array.from({ length: count }, (_, i) => ({
    ...{ path: pathOf(i), pathType: "Prefix", backend: web },
  }));
  const rpc = { service: { name: "rpc", port: { number: PORT } } };
  const grpc = { "nginx.ingress.kubernetes.io/backend-protocol": "GRPC" };
  return [
    ingressOf("web", paths, {}),
    ingressOf("rpc", [{ path: GRPC_PATH, pathType: "Prefix", backend: rpc }], grpc),
  ];
}

/** A rule that comes and goes, and that nobody asks for. */
export function passingIngress(): object {
  const backend = { service: { name: "web", port: { number: PORT } } };
  return ingressOf("passing", [{ path: "/passing", pathType: "Prefix", backend }], {});
}

function ingressOf(name: string, paths: readonly object[], annotations: object): object {
  return {
    ...{ apiVersion: "networking.k8s.io/v1", kind: "Ingress" },
    metadata: { name, namespace: NAMESPACE, annotations },
    spec: { rules: [{ host: HOST, http: { paths } }] },
  };
}

export function serviceAt(name: string): object {
  return {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: NAMESPACE } },
    spec: { clusterIP: name === "web" ? "10.96.0.80" : "10.96.0.81", ports: [{ port: PORT }] },
  };
}

/** The one slice of a Service. */
export function sliceAt(name: string, addresses: readonly string[], port: number): object {
  const labels = { "kubernetes.io/service-name": name };
  return {
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
    metadata: { name: `${name}-1`, namespace: NAMESPACE, labels },
    ports: [{ port }],
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  };
}
