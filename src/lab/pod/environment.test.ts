import t from "tap";
import type { Container, Pod } from "../../kube/objects.ts";
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
const objects: ConfigObjects = configObjects(
  (kind, key) => stored[`${kind} ${key}`] as never,
  () => "token",
  { cpu: "4", memory: "8Gi", ephemeralStorage: "1Gi" },
);

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
