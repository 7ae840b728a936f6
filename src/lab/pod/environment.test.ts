import t from "tap";
import type { Container, Pod, Service } from "../../kube/objects.ts";
import { planTopology } from "../topology.ts";
import { type ConfigObjects, configObjects } from "./config-objects.ts";
import { ConfigProblem, environmentOf } from "./environment.ts";
import { expand } from "./expand.ts";

const [node] = planTopology("demo", {}).nodes;
const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-1", namespace: "shop", labels: { app: "web", a: 'x"y' } },
  spec: { containers: [{ name: "other", resources: { requests: { memory: "1Mi" } } }] },
  status: { podIPs: [{ ip: "10.244.1.2" }] },
} as unknown as Pod;

const stored: Record<string, object> = {
  "ConfigMap shop/settings": { data: { COLOR: "red", "app.size": "9" }, binaryData: { RAW: "AQI=" } },
  "Secret shop/keys": { data: { PASSWORD: Buffer.from("hunter2").toString("base64") } },
};
const objects: ConfigObjects = configObjects((kind, key) => stored[`${kind} ${key}`] as never, {
  services: () => [],
  token: () => undefined,
  capacity: { cpu: "4", memory: "8Gi", ephemeralStorage: "1Gi" },
});

const variables = (container: Partial<Container>): Record<string, string> =>
  environmentOf({ name: "c", ...container }, { lab: "demo", pod, node, objects, image: {} });
const refused = (container: Partial<Container>): string => {
  try {
    variables(container);
    return "";
  } catch (error) {
    return error instanceof ConfigProblem ? error.message : `${error}`;
  }
};

t.test("variables are expanded in later variables, command and args", async (t) => {
  const env = variables({
    env: [
      { name: "A", value: "1" },
      { name: "B", value: "$(A)2" },
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    ],
  });
  t.match(env, { A: "1", B: "12", IP: "10.244.1.2", APP: "web", HOSTNAME: "web-1" });
  t.equal(expand("echo $(A) $(B) $(NO) $$(A) $HOME", env), "echo 1 12 $(NO) $(A) $HOME");
});

t.test("ConfigMaps and Secrets, whole and by key; env comes over envFrom", async (t) => {
  const env = variables({
    envFrom: [
      { configMapRef: { name: "settings" } },
      { prefix: "S_", secretRef: { name: "keys" } },
      { configMapRef: { name: "none", optional: true } },
    ],
    env: [
      { name: "COLOR", value: "blue" },
      { name: "P", valueFrom: { secretKeyRef: { name: "keys", key: "PASSWORD" } } },
      { name: "NO", valueFrom: { configMapKeyRef: { name: "settings", key: "no", optional: true } } },
      { name: "SEES", value: "$(S_PASSWORD)" },
    ],
  });
  t.match(env, { COLOR: "blue", "app.size": "9", S_PASSWORD: "hunter2", P: "hunter2", SEES: "hunter2" });
  t.notOk("NO" in env, "an optional one that is missing is not set");
});

t.test("what is missing is said in kubelet's words", async (t) => {
  t.equal(refused({ envFrom: [{ configMapRef: { name: "no" } }] }), 'configmap "no" not found');
  t.equal(refused({ envFrom: [{ secretRef: { name: "no" } }] }), 'secret "no" not found');
  const key = (name: string, key: string) => ({ name: "X", valueFrom: { configMapKeyRef: { name, key } } });
  t.equal(refused({ env: [key("no", "k")] }), 'configmap "no" not found');
  t.equal(refused({ env: [key("settings", "k")] }), "couldn't find key k in ConfigMap shop/settings");
  const secret = { name: "X", valueFrom: { secretKeyRef: { name: "keys", key: "k" } } };
  t.equal(refused({ env: [secret] }), "couldn't find key k in Secret shop/keys");
});

t.test("resources come in the divisor's units, rounded up; no limit is the node's", async (t) => {
  const resource = (resource: string, divisor?: string, containerName?: string) => ({
    name: "X",
    valueFrom: {
      resourceFieldRef: {
        resource,
        ...(divisor === undefined ? {} : { divisor }),
        ...(containerName === undefined ? {} : { containerName }),
      },
    },
  });
  const limits = { resources: { limits: { cpu: "250m", memory: "64Mi" } } };
  const of = (...how: Parameters<typeof resource>) => variables({ ...limits, env: [resource(...how)] }).X;
  t.same([of("limits.cpu"), of("limits.cpu", "1m"), of("requests.cpu", "1m")], ["1", "250", "250"]);
  t.same([of("limits.memory"), of("limits.memory", "1Mi")], [`${64 << 20}`, "64"]);
  t.same([of("requests.memory", "1Ki", "other"), of("limits.cpu", "1", "other")], ["1024", "4"]);
});

const service = (name: string, spec: object, namespace = "shop"): Service =>
  ({ apiVersion: "v1", kind: "Service", metadata: { name, namespace }, spec, status: {} }) as Service;
const https = service(
  "kubernetes",
  { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443, protocol: "TCP" }] },
  "default",
);
const ofServices = (services: Service[], spec: object = {}): Record<string, string> => {
  const where = { lab: "demo", node, image: {}, objects: { ...objects, services: () => services } };
  const env = environmentOf({ name: "c", env: [{ name: "A", value: "$(WEB_UI_PORT)" }] } as Container, {
    ...where,
    pod: { ...pod, spec: { ...pod.spec, ...spec } },
  });
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(A|.*(_SERVICE_|_PORT).*)$/.test(name)));
};

t.test("Services of the pod's namespace and the API's, in docker's form too", async (t) => {
  const web = service("web-ui", {
    clusterIP: "10.96.0.80",
    ports: [
      { name: "http", port: 80 },
      { name: "quic-1", port: 80, protocol: "UDP" },
    ],
  });
  const none = [
    service("headless", { clusterIP: "None", ports: [{ port: 1 }] }),
    service("elsewhere", { type: "ExternalName", externalName: "a.test" }),
    service("other", { clusterIP: "10.96.0.81", ports: [{ port: 1 }] }, "default"),
    service("portless", { clusterIP: "10.96.0.82" }),
  ];
  const api = {
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    KUBERNETES_SERVICE_PORT: "443",
    KUBERNETES_SERVICE_PORT_HTTPS: "443",
    KUBERNETES_PORT: "tcp://10.96.0.1:443",
    KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
    KUBERNETES_PORT_443_TCP_PROTO: "tcp",
    KUBERNETES_PORT_443_TCP_PORT: "443",
    KUBERNETES_PORT_443_TCP_ADDR: "10.96.0.1",
  };
  t.same(ofServices([https, web, ...none]), {
    ...api,
    WEB_UI_SERVICE_HOST: "10.96.0.80",
    WEB_UI_SERVICE_PORT: "80",
    WEB_UI_SERVICE_PORT_HTTP: "80",
    WEB_UI_SERVICE_PORT_QUIC_1: "80",
    WEB_UI_PORT: "tcp://10.96.0.80:80",
    WEB_UI_PORT_80_TCP: "tcp://10.96.0.80:80",
    WEB_UI_PORT_80_TCP_PROTO: "tcp",
    WEB_UI_PORT_80_TCP_PORT: "80",
    WEB_UI_PORT_80_TCP_ADDR: "10.96.0.80",
    WEB_UI_PORT_80_UDP: "udp://10.96.0.80:80",
    WEB_UI_PORT_80_UDP_PROTO: "udp",
    WEB_UI_PORT_80_UDP_PORT: "80",
    WEB_UI_PORT_80_UDP_ADDR: "10.96.0.80",
    A: "tcp://10.96.0.80:80",
  });
  t.same(ofServices([https, web], { enableServiceLinks: false }), { ...api, A: "$(WEB_UI_PORT)" });
});

t.test("a Service of the pod's own namespace comes over the API's; IPv6 stands in brackets", async (t) => {
  const own = service("kubernetes", { clusterIP: "fd00::7", ports: [{ port: 8443 }] });
  t.match(ofServices([https, own]), {
    KUBERNETES_SERVICE_HOST: "fd00::7",
    KUBERNETES_SERVICE_PORT: "8443",
    KUBERNETES_PORT: "tcp://[fd00::7]:8443",
    KUBERNETES_PORT_8443_TCP_ADDR: "fd00::7",
  });
});
