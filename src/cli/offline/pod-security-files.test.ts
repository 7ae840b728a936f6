// Pod security of files: what rules and replay make of workloads that a cluster would not run.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-admission-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const podwire = new CommandLine();
t.teardown(() => podwire.close());

const namespace = (level: string) => `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { pod-security.kubernetes.io/enforce: ${level} } }
`;
const SPEC = "{ hostIPC: true, containers: [ { name: c, image: a, ports: [ { containerPort: 80 } ] } ] }";
const WORKLOADS = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec: { selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: ${SPEC} } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.0.80, selector: { a: b }, ports: [ { port: 80 } ] }
`;
const pod = (meta: string) => `
apiVersion: v1
kind: Pod
metadata: { name: x, namespace: shop, labels: { a: b } ${meta} }
spec: ${SPEC}
`;

function rules(...texts: string[]) {
  const path = join(directory, "objects.yaml");
  writeFileSync(path, texts.join("---"));
  return { path, ...podwire.run(["rules", "-f", path]) };
}
const FOUND = 'PodSecurity "baseline:latest": host namespaces (hostIPC=true)';

t.test("a Deployment whose pods are refused has no endpoints, and it is told", async (t) => {
  const refused = rules(namespace("baseline"), WORKLOADS);
  t.equal(refused.status, 0, refused.stderr);
  t.match(refused.stdout, /shop\/web has no endpoints/);
  t.notMatch(refused.stdout, "DNAT --to-destination");
  t.match(
    refused.stderr,
    /^Warning: would violate PodSecurity "baseline:latest": host namespaces \(hostIPC=true\)$/m,
  );
  t.match(
    refused.stderr,
    /^warning: ReplicaSet "web-\w+": Error creating: pods "web-\w+-\w+" is forbidden: violates PodSecurity "baseline:latest": host namespaces \(hostIPC=true\)$/m,
  );
  const admitted = rules(namespace("privileged"), WORKLOADS);
  t.match(admitted.stdout, /DNAT/);
  t.equal(admitted.stderr, "");
});

t.test("a pod that is new is refused by its place; one of a dump is there", async (t) => {
  const refused = rules(namespace("baseline"), pod(""));
  t.equal(refused.status, 1);
  t.equal(
    refused.stderr,
    `error: ${refused.path}:9:1: document 2: Pod "x": pods "x" is forbidden: violates ${FOUND}\n`,
  );
  const dumped = rules(namespace("baseline"), WORKLOADS, pod(", uid: u-1"));
  t.equal(dumped.status, 0, dumped.stderr);
  t.match(dumped.stdout, /DNAT/);
});
