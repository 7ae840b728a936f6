// The objects that most end-to-end tests share: a client pod on each node, an echo server on each node
// behind one Service.
export interface PodOptions {
  app?: string;
  /** Programs of the host to run in the pod; without it the pod is an echo server. */
  command?: string[];
  readinessProbe?: object;
}

export const HTTP_PORT = 8080;
export const UDP_PORT = 9000;
export const NODE_PORT = 30080;
export const UDP_NODE_PORT = 30090;

export function pod(name: string, node: string, options: PodOptions = {}): object {
  const server = {
    name: "main",
    image: "podwire/echo",
    ports: [
      { name: "http", containerPort: HTTP_PORT, protocol: "TCP" },
      { name: "udp", containerPort: UDP_PORT, protocol: "UDP" },
    ],
    ...(options.readinessProbe === undefined ? {} : { readinessProbe: options.readinessProbe }),
  };
  const idle = { name: "main", image: "podwire/host", command: options.command ?? ["sleep", "infinity"] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: { app: options.app ?? name } },
    spec: { nodeName: node, containers: [options.command === undefined ? server : idle] },
  };
}

export const client = (name: string, node: string) => pod(name, node, { command: ["sleep", "infinity"] });

export function service(name: string, over: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: {
      type: "NodePort",
      selector: { app: name },
      ports: [
        { name: "http", protocol: "TCP", port: 80, targetPort: HTTP_PORT, nodePort: NODE_PORT },
        { name: "udp", protocol: "UDP", port: UDP_PORT, targetPort: UDP_PORT, nodePort: UDP_NODE_PORT },
      ],
      ...over,
    },
  };
}

/** client-1, web-1 on node1; client-2, web-2 on node2; Service web over both web pods. */
export function standardObjects(): object[] {
  return [
    client("client-1", "node1"),
    client("client-2", "node2"),
    pod("web-1", "node1", { app: "web" }),
    pod("web-2", "node2", { app: "web" }),
    service("web"),
  ];
}
