// A lab's mesh: its proxies come with the first label and go with the last; who is signed for, and who is not.
import { createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Cluster } from "../../cluster/cluster.ts";
import { namespaceObject } from "../../cluster/outcome.ts";
import { MESH_LABELS } from "../../kube/mesh/mesh-names.ts";
import type { DaemonSet, KubeObject, Pod } from "../../kube/objects.ts";
import type { SigningRequest } from "../../kube/validate/signing/signing-request.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { labPaths } from "../state-dir.ts";
import { planTopology } from "../topology.ts";
import { LabMesh } from "./lab-mesh.ts";
import { removeOld } from "./request-cleaner.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-mesh-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const ACCOUNT = "system:serviceaccount:podwire-system:podwire-mesh";

interface Started {
  readonly cluster: Cluster;
  readonly lines: string[];
  readonly authority: string;
}

let made = 0;

function started(mesh: object = {}): Started {
  const topology = planTopology("m", { spec: { nodes: [{ name: "node1" }, { name: "node2" }], mesh } });
  const authority = join(folder, `mesh-${made++}.json`);
  const cluster = makeCluster({ hasApi: true });
  const lines: string[] = [];
  const paths = { ...labPaths("m"), mesh: authority };
  new LabMesh(cluster, topology, paths, (line) => lines.push(line)).start();
  return { cluster, lines, authority };
}

async function until<T>(read: () => T | undefined): Promise<T> {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    const value = read();
    if (value !== undefined) return value;
    await sleep(5);
  }
  throw new Error("it did not come");
}

function label(cluster: Cluster, name: string, value: string | undefined): void {
  const object = cluster.get("Namespace", name) ?? namespaceObject(name);
  const { "podwire.dev/mesh": _, ...labels } = object.metadata.labels ?? {};
  const own = { ...labels, ...(value !== undefined && { "podwire.dev/mesh": value }) };
  cluster.update({ ...object, metadata: { ...object.metadata, labels: own } } as KubeObject);
}

const KEY = "podwire-system/podwire-mesh";
const parts = (cluster: Cluster): string[] =>
  ["DaemonSet", "ConfigMap", "ServiceAccount"].flatMap((kind) =>
    cluster
      .list(kind, "podwire-system")
      .filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/managed-by"] === "podwire-lab-mesh")
      .map(({ metadata }) => `${kind} ${metadata.name}`),
  );

t.test("proxies come with the first label and go with the last", async (t) => {
  const { cluster, lines, authority } = started({ plain: "allow" });
  label(cluster, "shop", "disabled");
  await sleep(30);
  t.same(parts(cluster), [], "the value is enabled, or it means nothing");
  t.throws(() => statSync(authority), "and there is no key");
  label(cluster, "shop", "enabled");
  const set = await until(() => cluster.get("DaemonSet", KEY) as DaemonSet | undefined);
  t.match(set.spec.template, {
    metadata: { labels: { "app.kubernetes.io/name": "podwire-mesh" } },
    spec: { serviceAccountName: "podwire-mesh", containers: [{ image: "podwire/mesh" }] },
  });
  t.equal(statSync(authority).mode & 0o777, 0o600);
  const map = cluster.get("ConfigMap", KEY) as unknown as { data: Record<string, string> };
  t.match(JSON.parse(map.data["mesh.yaml"]), {
    ...{ source: { kubernetes: {} }, trustDomain: "cluster.local", plain: "allow" },
    trustBundle: "/etc/podwire-mesh-ca/ca.crt",
  });
  const bundle = cluster.get("ConfigMap", "podwire-system/podwire-mesh-ca") as unknown as typeof map;
  t.ok(new X509Certificate(bundle.data["ca.crt"]).ca);
  cluster.delete(set);
  await until(() => cluster.get("DaemonSet", KEY));
  label(cluster, "shop", undefined);
  await until(() => (parts(cluster).length === 0 ? true : undefined));
  t.same(lines, []);
});

t.test("where the lab's file says so, nothing runs", async (t) => {
  const { cluster } = started({ enabled: false });
  label(cluster, "shop", "enabled");
  await sleep(50);
  t.same(parts(cluster), []);
});

const pod = (name: string, namespace: string, node: string, more: object = {}): Pod =>
  ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, uid: `${name}-uid`, ...more } },
    spec: {
      nodeName: node,
      serviceAccountName: namespace === "shop" ? "web" : "podwire-mesh",
      containers: [],
    },
    status: { phase: "Running" },
  }) as unknown as Pod;

/** A request in PEM, with its key's public half. */
async function requestFor(names: { type: "url" | "dns"; value: string }[], subject = "") {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    ...{ name: subject, keys: keys as never, signingAlgorithm: algorithm },
    extensions: [new x509.SubjectAlternativeNameExtension(names, true)],
  });
  const spki = Buffer.from(await crypto.subtle.exportKey("spki", keys.publicKey));
  return { pem: request.toString("pem"), spki };
}

t.test("identities are given out for pods of the proxy's node alone", async (t) => {
  const { cluster } = started({ certificateSec: 100 });
  for (const name of ["shop", "podwire-system"]) cluster.update(namespaceObject(name));
  for (const each of [
    pod("web-1", "shop", "node1"),
    pod("proxy-1", "podwire-system", "node1", { labels: MESH_LABELS }),
    pod("proxy-2", "podwire-system", "node2", { labels: MESH_LABELS }),
    pod("other", "podwire-system", "node1"),
  ])
    cluster.update(each);
  const web = { type: "url", value: "spiffe://cluster.local/ns/shop/sa/web" } as const;
  let asked = 0;
  const answered = async (pem: string, more: object = {}, proxy = "proxy-1"): Promise<SigningRequest> => {
    const name = `r-${asked++}`;
    const extra = {
      "authentication.kubernetes.io/pod-name": [proxy],
      "authentication.kubernetes.io/pod-uid": [`${proxy}-uid`],
    };
    cluster.update({
      ...{ apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest", metadata: { name } },
      spec: {
        ...{ request: Buffer.from(pem).toString("base64"), signerName: "podwire.dev/mesh-workload" },
        ...{ usages: ["client auth", "server auth"], username: ACCOUNT, extra, ...more },
      },
    } as unknown as KubeObject);
    return until(() => {
      const now = cluster.get("CertificateSigningRequest", name) as SigningRequest;
      return now.status?.conditions === undefined ? undefined : now;
    });
  };
  const { pem, spki } = await requestFor([web]);
  const { status } = await answered(pem);
  t.match(status?.conditions, [{ type: "Approved", status: "True", reason: "PodOnNode" }]);
  const certificate = new X509Certificate(Buffer.from(status?.certificate ?? "", "base64"));
  t.equal(certificate.subjectAltName, `URI:${web.value}`);
  t.equal(certificate.subject ?? "", "");
  t.ok(certificate.publicKey.equals(createPublicKey({ key: spki, format: "der", type: "spki" })));
  t.notOk(certificate.ca);
  const lifeMs = Date.parse(certificate.validTo) - Date.now();
  t.ok(lifeMs > 90_000 && lifeMs <= 100_000, `${lifeMs}`);
  label(cluster, "shop", "enabled");
  const bundle = await until(
    () =>
      cluster.get("ConfigMap", "podwire-system/podwire-mesh-ca") as unknown as { data: { "ca.crt": string } },
  );
  t.ok(certificate.verify(new X509Certificate(bundle.data["ca.crt"]).publicKey));
  const REFUSED: [string, () => Promise<SigningRequest>, string][] = [
    [
      "another account",
      () => answered(pem, { username: "system:serviceaccount:shop:web" }),
      "WrongRequester",
    ],
    ["no pod's token", () => answered(pem, { extra: {} }), "NoPod"],
    ["a pod that is no proxy", () => answered(pem, {}, "other"), "NoProxy"],
    ["a proxy elsewhere", () => answered(pem, {}, "proxy-2"), "NoSuchPod"],
    ["to sign for others", () => answered(pem, { usages: ["cert sign"] }), "WrongUsage"],
    [
      "an account without pods",
      async () => answered((await requestFor([{ ...web, value: `${web.value}2` }])).pem),
      "NoSuchPod",
    ],
    [
      "two names",
      async () => answered((await requestFor([web, { type: "dns", value: "kubernetes" }])).pem),
      "WrongName",
    ],
    ["a subject", async () => answered((await requestFor([web], "O=system:masters")).pem), "WrongName"],
    [
      "another mesh",
      async () => answered((await requestFor([{ type: "url", value: "spiffe://other/ns/shop/sa/web" }])).pem),
      "WrongName",
    ],
    ["nothing that can be read", () => answered("nonsense"), "Malformed"],
    [
      "a request whose names were changed",
      () => {
        const lines = pem.trim().split("\n");
        const der = Buffer.from(lines.slice(1, -1).join(""), "base64");
        der.write("wep", der.indexOf("sa/web") + 3, "latin1");
        return answered(`${lines[0]}\n${der.toString("base64")}\n${lines.at(-1)}`);
      },
      "WrongSignature",
    ],
  ];
  for (const [name, ask, reason] of REFUSED) {
    const { status } = await ask();
    t.match(status?.conditions, [{ type: "Denied", status: "True", reason }], name);
    t.notOk(status?.certificate, name);
  }
});

t.test("requests that nobody needs any more go", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  const nowMs = Date.now();
  const ago = (hours: number): string => new Date(nowMs - hours * 3_600_000).toISOString();
  const request = (name: string, hours: number, decided?: number): KubeObject =>
    ({
      ...{ apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest" },
      metadata: { name, creationTimestamp: ago(hours) },
      spec: { request: "", signerName: "example.com/own", usages: [] },
      ...(decided !== undefined && {
        status: { conditions: [{ type: "Denied", status: "True", lastUpdateTime: ago(decided) }] },
      }),
    }) as unknown as KubeObject;
  for (const each of [
    request("pending", 23),
    request("forgotten", 25),
    request("decided", 5, 0.9),
    request("old", 5, 1.1),
  ])
    cluster.update(each);
  removeOld(cluster, nowMs);
  t.same(
    cluster.list("CertificateSigningRequest").map(({ metadata }) => metadata.name),
    ["decided", "pending"],
  );
});
