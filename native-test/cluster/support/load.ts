// As many objects as a large cluster has, written to a real API server.
import type { Client } from "./client.ts";

const SIDE_BY_SIDE = 32;
const TRIES = 5;
const LABELS = { load: "yes" };
/** Addresses of nobody: 10.244.2.0 and up. */
const FIRST = (10 << 24) + (244 << 16) + (2 << 8);
const PORTS = [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }];

const addressOf = (i: number): string => {
  const at = FIRST + i;
  return [24, 16, 8, 0].map((bits) => (at >> bits) & 255).join(".");
};

async function sideBySide(from: number, to: number, one: (i: number) => Promise<void>): Promise<void> {
  let next = from;
  const work = async (): Promise<void> => {
    while (next < to) await one(next++);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
}

/** A server that is loaded like this gives up some requests, and may have done them. */
async function make(api: Client, path: string, object: object): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { status, body } = await api.ask("POST", path, object);
    if (status < 300 || status === 409) return;
    if (status < 500 || tries === TRIES) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`);
  }
}

/** Services `from` to `to` without selector, each with a slice of so many endpoints. */
export async function loadServices(api: Client, from: number, to: number, endpoints: number): Promise<void> {
  await sideBySide(from, to, async (i) => {
    const name = `load-${i}`;
    await make(api, "/api/v1/namespaces/default/services", {
      metadata: { name, labels: LABELS },
      spec: { ports: PORTS },
    });
    await make(api, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
      metadata: { name: `${name}-a`, labels: { ...LABELS, "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: Array.from({ length: endpoints }, (_, e) => ({
        addresses: [addressOf(i * endpoints + e)],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: `far-${e % 100}`,
        targetRef: { kind: "Pod", namespace: "default", name: `${name}-5d8f9c7b44-x${e}` },
      })),
    });
  });
}

/** Running pods of other nodes. */
export async function loadPods(api: Client, from: number, to: number): Promise<void> {
  await sideBySide(from, to, async (i) => {
    const name = `load-${i}`;
    const ip = addressOf(i);
    await make(api, "/api/v1/namespaces/default/pods", {
      metadata: { name, labels: { ...LABELS, app: `app-${i % 1000}`, "pod-template-hash": "5d8f9c7b44" } },
      spec: {
        nodeName: `far-${i % 100}`,
        containers: [
          { name: "main", image: "none", env: [{ name: "A", value: "b" }], ports: [{ containerPort: 8080 }] },
        ],
      },
    });
    await api.done(
      "PATCH",
      `/api/v1/namespaces/default/pods/${name}/status`,
      { status: { phase: "Running", podIP: ip, podIPs: [{ ip }], hostIP: "192.168.77.12" } },
      "application/strategic-merge-patch+json",
    );
  });
}
