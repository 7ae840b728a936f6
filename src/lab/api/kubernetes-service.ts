// The Service by which pods find the API: default/kubernetes, at the first address of the service range, with the
// control plane's address as its endpoint. Nobody selects it; kube-apiserver writes these three objects itself, and
// makes them again when somebody took one away.
import { cidrs, familyOf, formatIp, ip, nthIp } from "../../base/ip.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { SERVICE_NAME_LABEL, SKIP_MIRROR_LABEL } from "../../kube/slice-labels.ts";
import { API_PORT, controlPlaneAddresses } from "../net/control-plane.ts";
import type { Topology } from "../topology.ts";

const NAME = "kubernetes";
const NAMESPACE = "default";
const KEY = `${NAMESPACE}/${NAME}`;
const HTTPS = { name: "https", protocol: "TCP" } as const;
const SERVICE_PORT = 443;

/** From now on. What somebody else writes into the Service stays, but endpoints are the server's. */
export function keepKubernetesService(cluster: Cluster, t: Topology): void {
  const [service, ...endpoints] = objectsOf(t);
  const keep = (): void => {
    if (cluster.get(service.kind, KEY) === undefined) cluster.update(service);
    for (const each of endpoints) cluster.update(each);
  };
  keep();
  let isDue = false;
  cluster.onChange(({ object: { kind, metadata } }) => {
    if (metadata.name !== NAME || metadata.namespace !== NAMESPACE || isDue) return;
    if (kind !== "Service" && kind !== "Endpoints" && kind !== "EndpointSlice") return;
    isDue = true;
    // Not in the middle of the change that is told.
    setImmediate(() => {
      isDue = false;
      keep();
    });
  });
}

function objectsOf(t: Topology): KubeObject[] {
  const clusterIP = formatIp(nthIp(cidrs(t.serviceCidr)[0], 1));
  const family = familyOf(ip(clusterIP));
  const address = controlPlaneAddresses(t).find((each) => ip(each).family === family) ?? "";
  const metadata = { name: NAME, namespace: NAMESPACE };
  const port = { ...HTTPS, port: API_PORT };
  const objects: object[] = [
    {
      ...{ apiVersion: "v1", kind: "Service" },
      metadata: { ...metadata, labels: { component: "apiserver", provider: "kubernetes" } },
      spec: {
        ...{ type: "ClusterIP", clusterIP, clusterIPs: [clusterIP] },
        ...{ ipFamilies: [`IPv${family}`], ipFamilyPolicy: "SingleStack" },
        ...{ sessionAffinity: "None", internalTrafficPolicy: "Cluster" },
        ports: [{ ...HTTPS, port: SERVICE_PORT, targetPort: API_PORT }],
      },
      status: { loadBalancer: {} },
    },
    {
      ...{ apiVersion: "v1", kind: "Endpoints" },
      metadata: { ...metadata, labels: { [SKIP_MIRROR_LABEL]: "true" } },
      subsets: [{ addresses: [{ ip: address }], ports: [port] }],
    },
    {
      ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice" },
      metadata: { ...metadata, labels: { [SERVICE_NAME_LABEL]: NAME } },
      ...{ addressType: `IPv${family}`, endpoints: [{ addresses: [address], conditions: { ready: true } }] },
      ports: [port],
    },
  ];
  return objects as KubeObject[];
}
