import t from "tap";
import { checkConfiguration } from "../../config/check.ts";
import type { Pod, Service } from "../objects.ts";
import { PassedOver } from "../passed-over.ts";
import { ManifestError, parseManifests } from "./manifest.ts";

/** The problems of a text, as "line:column: message". */
function problemsOf(text: string): string[] {
  try {
    parseManifests([{ file: "a.yaml", text }], { configuration: checkConfiguration });
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map((p) => `${p.line}:${p.column}: ${p.message}`);
  }
}

function parse<T>(text: string): T {
  return parseManifests([{ file: "a.yaml", text }])[0].object as T;
}

t.test("a problem names file, line, column, document, object and field", async (t) => {
  const text = `apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata:
  name: api
spec:
  ports:
    - port:     70000
`;
  t.throws(() => parseManifests([{ file: "demo.yaml", text }]), {
    code: "MANIFEST_INVALID",
    message:
      'demo.yaml:11:17: document 2: Service "api": ' +
      "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
  });
});

t.test("all problems of all files are told at once", async (t) => {
  const bad = (name: string) => ({
    file: `${name}.yaml`,
    text: `{ apiVersion: v1, kind: Service, metadata: { name: ${name} }, spec: { prots: [], clusterIP: 10.1.1 } }`,
  });
  try {
    parseManifests([bad("a"), bad("b")]);
    t.fail("not refused");
  } catch (error) {
    t.same(
      (error as ManifestError).problems.map((p) => `${p.file} ${p.object} ${p.message}`),
      ["a", "b"].map((n) => `${n}.yaml Service "${n}" unknown field "spec.prots"`),
    );
  }
});

t.test("YAML is read as kubectl reads it", async (t) => {
  const pod = parse<Pod>(`
apiVersion: v1
kind: Pod
metadata: { name: a, annotations: { when: 2020-01-01, time: 12:30:45, yes: "on" } }
spec:
  hostNetwork: yes
  shareProcessNamespace: off
  containers: [{ name: a, image: a, tty: Y }]
  volumes: [{ name: v, secret: { secretName: s, defaultMode: 0644 } }]
`);
  t.equal(pod.spec.hostNetwork, true);
  t.equal(pod.spec.shareProcessNamespace, false);
  t.equal(pod.spec.containers[0].tty, true);
  t.equal(pod.spec.volumes?.[0].secret?.defaultMode, 0o644);
  t.same(pod.metadata.annotations, { when: "2020-01-01", time: "12:30:45", true: "on" });
});

t.test("anchors and merge keys are followed", async (t) => {
  const service = parse<Service>(`
apiVersion: v1
kind: Service
metadata: { name: a }
spec:
  ports:
    - &p { name: a, port: 80 }
    - { <<: *p, name: b, port: 81 }
`);
  t.same(
    service.spec.ports?.map((p) => p.port),
    [80, 81],
  );
});

t.test("JSON, Lists and typed lists are read, with positions", async (t) => {
  const one = (n: string) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: n },
    spec: { ports: [{ port: 1 }] },
  });
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: [one("a"), one("b")] }, null, 1);
  t.same(
    parseManifests([{ file: "a.json", text: list }]).map((m) => m.object.metadata.name),
    ["a", "b"],
  );
  t.equal(parseManifests([{ file: "a.json", text: list.replace('"List"', '"ServiceList"') }]).length, 2);
  t.same(problemsOf(list.replace('"port": 1', '"port": -1')), [
    "14:15: spec.ports[0].port: Invalid value: -1: must be between 1 and 65535, inclusive",
  ]);
});

t.test("an empty file and empty documents hold nothing", async (t) => {
  t.same(parseManifests([{ file: "a", text: "" }]), []);
  t.same(parseManifests([{ file: "a", text: "---\n# nothing\n---\n" }]), []);
});

const head = (kind: string, apiVersion = "v1") =>
  `{ apiVersion: ${apiVersion}, kind: ${kind}, metadata: { name: a }, `;
const service = (spec: string) => `${head("Service")} spec: { ${spec} } }`;
const pod = (spec: string) => `${head("Pod")} spec: { ${spec} } }`;
const container = (rest: string) => pod(`containers: [{ name: a, image: a, ${rest} }]`);
const slice = (rest: string) => `${head("EndpointSlice", "discovery.k8s.io/v1")} ${rest} }`;
const policy = (spec: string) => `${head("NetworkPolicy", "networking.k8s.io/v1")} spec: { ${spec} } }`;
const deployment = (spec: string) => `${head("Deployment", "apps/v1")} spec: { ${spec} } }`;
const template =
  "template: { metadata: { labels: { app: a } }, spec: { containers: [{ name: a, image: a }] } }";

// Text → problems, without their position.
const cases: [string, string, ...string[]][] = [
  ["broken YAML", "a: [1", "error converting YAML to JSON: yaml: did not find expected ',' or ']'"],
  ["a key twice", "a: 1\na: 2", 'error converting YAML to JSON: yaml: key "a" already set in map'],
  ["a list", "- a", "a manifest is a map with apiVersion, kind and metadata"],
  ["no kind", "apiVersion: v1", "error validating data: kind not set"],
  ["no version", "kind: Pod", "error validating data: apiVersion not set"],
  ["unknown kind", "{ apiVersion: bar/v1, kind: Foo }", 'no matches for kind "Foo" in version "bar/v1"'],
  [
    "wrong version",
    "{ apiVersion: v1, kind: Deployment }",
    'no matches for kind "Deployment" in version "v1": use apps/v1',
  ],
  [
    "no name",
    "{ apiVersion: v1, kind: Namespace }",
    "metadata.name: Required value: name or generateName is required",
  ],
  ["unknown field", service("ports: [{ port: 80, prot: 1 }]"), 'unknown field "spec.ports[0].prot"'],
  [
    "string for a number",
    service("ports: [{ port: '80' }]"),
    "spec.ports[0].port: cannot unmarshal string into a field of type int32",
  ],
  [
    "fraction for a number",
    service("ports: [{ port: 80.5 }]"),
    "spec.ports[0].port: cannot unmarshal number 80.5 into a field of type int32",
  ],
  [
    "number over 32 bits",
    service("ports: [{ port: 99999999999 }]"),
    "spec.ports[0].port: cannot unmarshal number 99999999999 into a field of type int32",
  ],
  [
    "number for a string",
    service("clusterIP: 10.5, ports: [{ port: 80 }]"),
    "spec.clusterIP: cannot unmarshal number 10.5 into a field of type string",
  ],
  [
    "map for a list",
    service("ports: { port: 80 }"),
    "spec.ports: cannot unmarshal object into a field of type []v1.ServicePort",
  ],
  [
    "list for a map",
    service("selector: [a]"),
    "spec.selector: cannot unmarshal array into a field of type map[string]string",
  ],
  [
    "boolean for a map",
    service("sessionAffinityConfig: yes"),
    "spec.sessionAffinityConfig: cannot unmarshal bool into a field of type v1.SessionAffinityConfig",
  ],
  [
    "bad time",
    `${head("Pod").replace("name: a", "name: a, creationTimestamp: yesterday")} }`,
    'metadata.creationTimestamp: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse',
  ],
  [
    "bad quantity",
    container("resources: { limits: { cpu: lots } }"),
    "spec.containers[0].resources.limits.cpu: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  // Service
  ["no ports", service("selector: { a: b }"), "spec.ports: Required value"],
  [
    "port 0",
    service("ports: [{ port: 0 }]"),
    "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
  ],
  [
    "bad type",
    service("type: Node, ports: [{ port: 1 }]"),
    'spec.type: Unsupported value: "Node": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
  ],
  [
    "bad protocol",
    service("ports: [{ port: 1, protocol: tcp }]"),
    'spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
  ],
  [
    "two ports unnamed",
    service("ports: [{ port: 1 }, { port: 2 }]"),
    "spec.ports[0].name: Required value",
    "spec.ports[1].name: Required value",
  ],
  [
    "a port name twice",
    service("ports: [{ name: a, port: 1 }, { name: a, port: 2 }]"),
    'spec.ports[1].name: Duplicate value: "a"',
  ],
  [
    "a port twice",
    service("ports: [{ name: a, port: 1 }, { name: b, port: 1 }]"),
    'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}',
  ],
  [
    "nodePort of a ClusterIP Service",
    service("ports: [{ port: 1, nodePort: 30000 }]"),
    "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
  ],
  [
    "a nodePort twice",
    service(
      "type: NodePort, ports: [{ name: a, port: 1, nodePort: 30000 }, { name: b, port: 2, nodePort: 30000 }]",
    ),
    "spec.ports[1].nodePort: Duplicate value: 30000",
  ],
  [
    "bad targetPort",
    service("ports: [{ port: 1, targetPort: 70000 }]"),
    "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
  ],
  [
    "bad targetPort name",
    service("ports: [{ port: 1, targetPort: a_b }]"),
    'spec.ports[0].targetPort: Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
  ],
  [
    "clusterIP with leading zeros that is none",
    service("clusterIP: 010.0.0.0256, ports: [{ port: 1 }]"),
    'spec.clusterIPs[0]: Invalid value: "010.0.0.0256": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ],
  [
    "two clusterIPs of a family",
    service("clusterIPs: [10.96.0.5, 10.96.0.6], ipFamilyPolicy: PreferDualStack, ports: [{ port: 1 }]"),
    'spec.clusterIPs: Invalid value: ["10.96.0.5","10.96.0.6"]: may specify no more than one IP for each IP family',
  ],
  [
    "clusterIPs that differ",
    service("clusterIP: 10.96.0.5, clusterIPs: [10.96.0.6], ports: [{ port: 1 }]"),
    'spec.clusterIPs: Invalid value: ["10.96.0.6"]: first value must match `clusterIP`',
  ],
  [
    "headless NodePort",
    service("type: NodePort, clusterIP: None, ports: [{ port: 1 }]"),
    "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
  ],
  [
    "two families, no policy",
    service("ipFamilies: [IPv4, IPv6], ports: [{ port: 1 }]"),
    'spec.ipFamilyPolicy: Invalid value: "SingleStack": must be RequireDualStack or PreferDualStack when multiple IP families are specified',
  ],
  [
    "bad family",
    service("ipFamilies: [IPv5], ports: [{ port: 1 }]"),
    'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
  ],
  [
    "bad affinity",
    service("sessionAffinity: Client, ports: [{ port: 1 }]"),
    'spec.sessionAffinity: Unsupported value: "Client": supported values: "ClientIP", "None"',
  ],
  [
    "affinity of two days",
    service(
      "sessionAffinity: ClientIP, sessionAffinityConfig: { clientIP: { timeoutSeconds: 172800 } }, ports: [{ port: 1 }]",
    ),
    "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 172800: must be greater than 0 and less than 86400",
  ],
  [
    "loopback external IP",
    service("externalIPs: [127.0.0.1], ports: [{ port: 1 }]"),
    'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
  ],
  [
    "external policy of a ClusterIP Service",
    service("externalTrafficPolicy: Local, ports: [{ port: 1 }]"),
    'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
  ],
  [
    "bad internal policy",
    service("internalTrafficPolicy: Node, ports: [{ port: 1 }]"),
    'spec.internalTrafficPolicy: Unsupported value: "Node": supported values: "Cluster", "Local"',
  ],
  [
    "health port of a NodePort Service",
    service("type: NodePort, healthCheckNodePort: 30000, ports: [{ port: 1 }]"),
    "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
  ],
  [
    "source ranges of a NodePort Service",
    service("type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8], ports: [{ port: 1 }]"),
    "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
  ],
  [
    "bad source range",
    service("type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/033], ports: [{ port: 1 }]"),
    'spec.loadBalancerSourceRanges[0]: Invalid value: "10.0.0.0/033": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
  ],
  ["ExternalName without a name", service("type: ExternalName"), "spec.externalName: Required value"],
  [
    "Service name with a dot",
    service("ports: [{ port: 1 }]").replace("name: a", "name: a.b"),
    `metadata.name: Invalid value: "a.b": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`,
  ],
  [
    "bad selector value",
    service("selector: { a: 'x y' }, ports: [{ port: 1 }]"),
    `spec.selector: Invalid value: "x y": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
  ],
  // EndpointSlice
  [
    "variable from a field that is none",
    container("env: [{ name: A, valueFrom: { fieldRef: { fieldPath: spec.hostname } } }]"),
    'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.hostname": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
  ],
  [
    "variable from two places",
    container("env: [{ name: A, value: x, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]"),
    'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
  ],
  [
    "probe with a grace period",
    container("readinessProbe: { tcpSocket: { port: 1 }, terminationGracePeriodSeconds: 5 }"),
    "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
  ],
  [
    "toleration with a value and Exists",
    pod("containers: [{ name: a, image: a }], tolerations: [{ key: a, operator: Exists, value: b }]"),
    "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
  ],
  [
    "toleration of everything without Exists",
    pod("containers: [{ name: a, image: a }], tolerations: [{ effect: NoSchedule }]"),
    'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty',
  ],
  [
    "toleration for a time of what does not end pods",
    pod(
      "containers: [{ name: a, image: a }], tolerations: [{ key: a, effect: NoSchedule, tolerationSeconds: 5 }]",
    ),
    "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
  ],
  ["slice without type", slice("endpoints: []"), "addressType: Required value"],
  [
    "slice of a bad type",
    slice("addressType: IP, endpoints: []"),
    'addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"',
  ],
  [
    "endpoint without address",
    slice("addressType: IPv4, endpoints: [{ addresses: [] }]"),
    "endpoints[0].addresses: Required value: must contain at least 1 address",
  ],
  [
    "endpoint of the other family",
    slice("addressType: IPv4, endpoints: [{ addresses: ['fd00::1'] }]"),
    'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address',
  ],
  [
    "endpoint on the link",
    slice("addressType: IPv4, endpoints: [{ addresses: [169.254.1.1] }]"),
    'endpoints[0].addresses[0]: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
  ],
  [
    "slice port names",
    slice("addressType: IPv4, endpoints: [], ports: [{ port: 1 }, { port: 2 }]"),
    'ports[1].name: Duplicate value: ""',
  ],
  [
    "slice port",
    slice("addressType: IPv4, endpoints: [], ports: [{ port: 70000 }]"),
    "ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
  ],
  // Pod
  ["no containers", pod("containers: []"), "spec.containers: Required value"],
  ["no image", pod("containers: [{ name: a }]"), "spec.containers[0].image: Required value"],
  [
    "a container twice",
    pod("containers: [{ name: a, image: a }, { name: a, image: a }]"),
    'spec.containers[1].name: Duplicate value: "a"',
  ],
  [
    "container port",
    container("ports: [{ containerPort: 0 }]"),
    "spec.containers[0].ports[0].containerPort: Required value",
  ],
  [
    "container port name too long",
    container("ports: [{ name: a-very-long-name, containerPort: 1 }]"),
    'spec.containers[0].ports[0].name: Invalid value: "a-very-long-name": must be no more than 15 characters',
  ],
  [
    "container port name twice",
    container("ports: [{ name: a, containerPort: 1 }, { name: a, containerPort: 2 }]"),
    'spec.containers[0].ports[1].name: Duplicate value: "a"',
  ],
  [
    "probe without handler",
    container("readinessProbe: { periodSeconds: 1 }"),
    "spec.containers[0].readinessProbe: Required value: must specify a handler type",
  ],
  [
    "probe with two handlers",
    container("readinessProbe: { exec: { command: [a] }, tcpSocket: { port: 1 } }"),
    "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
  ],
  [
    "probe port",
    container("readinessProbe: { httpGet: { port: 0 } }"),
    "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
  ],
  [
    "probe period",
    container("readinessProbe: { tcpSocket: { port: 1 }, periodSeconds: -1 }"),
    "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
  ],
  [
    "liveness successThreshold",
    container("livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 }"),
    "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
  ],
  [
    "restart policy",
    pod("restartPolicy: Sometimes, containers: [{ name: a, image: a }]"),
    'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
  ],
  [
    "unknown volume",
    container("volumeMounts: [{ name: v, mountPath: /v }]"),
    'spec.containers[0].volumeMounts[0].name: Not found: "v"',
  ],
  [
    "bad podIP",
    `${head("Pod")} spec: { containers: [{ name: a, image: a }] }, status: { podIP: 10.1 } }`,
    "status.podIP: cannot unmarshal number 10.1 into a field of type string",
  ],
  [
    "label key",
    pod("containers: [{ name: a, image: a }]").replace("name: a }", "name: a, labels: { a/b/c: d } }"),
    `metadata.labels: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
  ],
  [
    "namespace of a Node",
    `${head("Node").replace("name: a", "name: a, namespace: b")} }`,
    "metadata.namespace: Forbidden: not allowed on this type",
  ],
  // Deployment
  ["no selector", deployment(template), "spec.selector: Required value"],
  [
    "selector of others",
    deployment(`selector: { matchLabels: { app: b } }, ${template}`),
    'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
  ],
  [
    "empty selector",
    deployment(`selector: {}, ${template}`),
    "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
  ],
  [
    "negative replicas",
    deployment(`replicas: -1, selector: { matchLabels: { app: a } }, ${template}`),
    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
  ],
  [
    "template that does not restart",
    deployment(
      `selector: { matchLabels: { app: a } }, ${template.replace("spec: {", "spec: { restartPolicy: Never,")}`,
    ),
    'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
  ],
  // NetworkPolicy
  [
    "policy type",
    policy("policyTypes: [In]"),
    'spec.policyTypes[0]: Unsupported value: "In": supported values: "Ingress", "Egress"',
  ],
  [
    "empty peer",
    policy("ingress: [{ from: [{}] }]"),
    "spec.ingress[0].from[0]: Required value: must specify a peer",
  ],
  [
    "two kinds of peer",
    policy("ingress: [{ from: [{ podSelector: {}, ipBlock: { cidr: 10.0.0.0/8 } }] }]"),
    "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
  ],
  [
    "except outside",
    policy("egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8, except: [11.0.0.0/16] } }] }]"),
    'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
  ],
  [
    "endPort below port",
    policy("ingress: [{ ports: [{ port: 80, endPort: 70 }] }]"),
    "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
  ],
  [
    "operator",
    policy("podSelector: { matchExpressions: [{ key: a, operator: Is, values: [b] }] }"),
    'spec.podSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
  ],
  [
    "operator without values",
    policy("podSelector: { matchExpressions: [{ key: a, operator: In }] }"),
    "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
  ],
  // Node
  [
    "two ranges of a family",
    `${head("Node")} spec: { podCIDRs: [10.0.0.0/24, 10.0.1.0/24] } }`,
    'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
  ],
  [
    "node address",
    `${head("Node")} status: { addresses: [{ type: InternalIP, address: 10.1.1 }] } }`,
    'status.addresses[0].address: Invalid value: "10.1.1": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ],
  // Lab and agent
  [
    "lab field",
    "{ apiVersion: podwire.dev/v1alpha1, kind: Lab, metadata: { name: a }, spec: { node: [] } }",
    'unknown field "spec.node"',
  ],
  [
    "lab agent kind",
    "{ apiVersion: podwire.dev/v1alpha1, kind: Lab, spec: { nodes: [{ name: a, agent: linux }] } }",
    'spec.nodes[0].agent: Unsupported value: "linux": supported values: "kernel", "podwire"',
  ],
  [
    "lab proxy",
    "{ apiVersion: podwire.dev/v1alpha1, kind: Lab, spec: { proxy: { mode: fast } } }",
    'spec.proxy.mode: Invalid value: "fast": must be iptables, ipvs, nftables, userspace or blank, blank means the best-available proxy [currently iptables]',
  ],
  [
    "lab node twice",
    "{ apiVersion: podwire.dev/v1alpha1, kind: Lab, spec: { nodes: [{ name: a }, { name: a }] } }",
    'spec.nodes[1].name: Duplicate value: "a"',
  ],
  [
    "lab ranges",
    "{ apiVersion: podwire.dev/v1alpha1, kind: Lab, spec: { clusterCIDR: 10.0.0.0/8, serviceCIDR: 10.96.0.0/12 } }",
    'spec.serviceCIDR: Invalid value: "10.96.0.0/12": must not overlap spec.clusterCIDR',
  ],
];

for (const [name, text, ...want] of cases) {
  t.test(`refused: ${name}`, async (t) => {
    t.same(
      problemsOf(text).map((p) => p.replace(/^\d+:\d+: /, "")),
      want,
    );
  });
}

const positions: [string, string, string][] = [
  ["a value", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 0\n", "6:11"],
  [
    "a missing field, at what should hold it",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n",
    "6:5",
  ],
  [
    "an unknown field, at its name",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: a, image: a}\n  colour: red\n",
    "7:3",
  ],
  [
    "a field that defaulting copied",
    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: [{port: 1}]\n  clusterIP: 1.2.3\n",
    "6:14",
  ],
  [
    "an item of a List",
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: A}\n  spec: {containers: [{name: a, image: a}]}\n",
    "6:20",
  ],
];
for (const [what, text, want] of positions) {
  t.test(`position of ${what}`, async (t) => {
    t.equal(problemsOf(text)[0].split(": ")[0], want);
  });
}

t.test("the same object twice in one call is refused", async (t) => {
  const text = service("ports: [{ port: 1 }]");
  t.same(problemsOf(`${text}\n---\n${text}`), ['3:52: metadata.name: Duplicate value: "a"']);
});

t.test("defaults are those of the API server", async (t) => {
  const s = parse<Service>(service("type: LoadBalancer, sessionAffinity: ClientIP, ports: [{ port: 80 }]"));
  t.match(s.spec, {
    ports: [{ port: 80, targetPort: 80, protocol: "TCP" }],
    externalTrafficPolicy: "Cluster",
    internalTrafficPolicy: "Cluster",
    allocateLoadBalancerNodePorts: true,
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
  });
  t.equal(s.metadata.namespace, "default");
  const p = parse<Pod>(
    container("ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { port: 80 } }"),
  );
  t.match(p.spec, { restartPolicy: "Always", dnsPolicy: "ClusterFirst", terminationGracePeriodSeconds: 30 });
  t.match(p.spec.containers[0].readinessProbe, {
    httpGet: { path: "/", scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  t.match(parse(slice("addressType: IPv4, endpoints: [], ports: [{ port: 80 }]")), {
    ports: [{ name: "", protocol: "TCP", port: 80 }],
  });
  t.match(parse(policy("egress: [{ ports: [{ port: 53 }] }]")), {
    spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"], egress: [{ ports: [{ protocol: "TCP" }] }] },
  });
});

t.test("a StatefulSet's volume claims are volumes of its pods", async (t) => {
  const set = (volume: string): string => `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { containers: [ { name: c, image: x, volumeMounts: [ { name: ${volume}, mountPath: /d } ] } ] }
  volumeClaimTemplates: [ { metadata: { name: data }, spec: { accessModes: [ ReadWriteOnce ] } } ]
`;
  t.same(problemsOf(set("data")), []);
  t.same(problemsOf(set("other")), [
    '9:72: spec.template.spec.containers[0].volumeMounts[0].name: Not found: "other"',
  ]);
});

t.test("what stands behind the end of a document is told, since nobody reads it", async (t) => {
  const text = `${service("ports: [{ port: 80 }]")}\n... # end\n# c\nkind: Pod\nmetadata: { name: p }\n`;
  const [{ object, notes }] = parseManifests([{ file: "a.yaml", text }]);
  t.equal(object.kind, "Service");
  t.match(notes, [
    {
      field: "...",
      text: /^"kind: Pod" is behind the document's end and not read, nor is it by kubectl: put ---/,
    },
  ]);
  for (const end of ["...\n", "...\n# c\n", "...\n...\n%YAML 1.1\n", "... # c"]) {
    const plain = `${service("ports: [{ port: 80 }]")}\n${end}`;
    t.same(parseManifests([{ file: "a.yaml", text: plain }])[0].notes, [], end);
  }
});

t.test(
  "configuration is refused among objects, checked where it is looked for, passed over where it may lie",
  async (t) => {
    const config = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: fast\n";
    const service =
      "---\napiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 80 }] }\n";
    const sources = [{ file: "a.yaml", text: config + service }];
    t.throws(() => parseManifests(sources), {
      message:
        'a.yaml:2:7: document 1: no matches for kind "KubeProxyConfiguration" in version "kubeproxy.config.k8s.io/v1alpha1": ' +
        "it is configuration: give it with --config, or as lab.yaml's spec.proxy",
    });
    t.throws(() => parseManifests(sources, { configuration: checkConfiguration }), {
      message: /mode: Invalid value: "fast"/,
    });
    const passed = new PassedOver();
    const objects = parseManifests(sources, { configuration: "pass over", passed });
    t.same(
      objects.map(({ object }) => object.kind),
      ["Service"],
    );
    t.match(passed.notes().join(), "KubeProxyConfiguration");
  },
);
