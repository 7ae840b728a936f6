import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Volume } from "kubernetes-types/core/v1.js";
import t from "tap";
import { accountVolume } from "../../../kube/account-volume.ts";
import type { KubeObject, Pod } from "../../../kube/objects.ts";
import { planTopology } from "../../topology.ts";
import { configObjects } from "../config-objects.ts";
import { writeFolder } from "./atomic-folder.ts";
import { havePlaces, mountsOf } from "./mounts.ts";
import { PodVolumes } from "./pod-volumes.ts";
import { filesOf, hasFilesOf, type Place } from "./volume-files.ts";

const [node] = planTopology("demo", {}).nodes;
const stored: Record<string, object> = {
  "ConfigMap default/web": { data: { "a.conf": "one", b: "two" } },
  "Secret default/key": { data: { tls: Buffer.from("pem").toString("base64") } },
};
const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-1", namespace: "default", labels: { b: "2", a: "1" } },
  spec: { containers: [{ name: "c", resources: { limits: { cpu: "1500m" } } }], serviceAccountName: "shop" },
  status: {},
} as unknown as Pod;
let issued = 0;
let renewAtMs = Number.POSITIVE_INFINITY;
const place: Place = {
  pod,
  node,
  objects: configObjects((kind, key) => stored[`${kind} ${key}`] as never, {
    services: () => [],
    token: ({ metadata }, { audience }) => ({
      token: `${metadata.name}/${audience}/${++issued}`,
      renewAtMs,
    }),
    capacity: { cpu: "4", memory: "8Gi", ephemeralStorage: "1Gi" },
  }),
  token: (use, { audience, expirationSeconds }) => `${use} ${audience} ${expirationSeconds}`,
};
const texts = (volume: Omit<Volume, "name">): Record<string, string> =>
  Object.fromEntries(
    [...(filesOf({ name: "v", ...volume }, place) ?? [])].map(([path, { bytes, mode }]) => [
      path,
      `${mode.toString(8)} ${Buffer.from(bytes)}`,
    ]),
  );

t.test("ConfigMaps and Secrets: all keys, or those that items name, with their modes", async (t) => {
  t.same(texts({ configMap: { name: "web" } }), { "a.conf": "644 one", b: "644 two" });
  const items = [
    { key: "a.conf", path: "etc/x", mode: 0o600 },
    { key: "b", path: "y" },
  ];
  t.same(texts({ configMap: { name: "web", items, defaultMode: 0o400 } }), {
    "etc/x": "600 one",
    y: "400 two",
  });
  t.same(texts({ secret: { secretName: "key" } }), { tls: "644 pem" });
  t.same(texts({ secret: { secretName: "no", optional: true } }), {});
  t.equal(filesOf({ name: "v", emptyDir: {} }, place), undefined, "it has files of the program's own");
});

t.test(
  "what is missing is said in kubelet's words, and a cluster's own volume may miss its parts",
  async (t) => {
    t.throws(() => texts({ configMap: { name: "no" } }), 'configmap "no" not found');
    t.throws(() => texts({ secret: { secretName: "no" } }), 'secret "no" not found');
    const items = [{ key: "z", path: "z" }];
    t.throws(() => texts({ configMap: { name: "web", items } }), "references non-existent config key: z");
    t.same(texts({ configMap: { name: "web", items, optional: true } }), {});
    const projected = { sources: [{ configMap: { name: "kube-root-ca.crt" } }] };
    t.same([...(filesOf({ name: "kube-api-access-x7", projected }, place) ?? [])], []);
  },
);

t.test("the downward API and several sources in one volume", async (t) => {
  const field = (path: string, fieldPath: string) => ({ path, fieldRef: { fieldPath } });
  const resource = {
    path: "cpu",
    mode: 0o440,
    resourceFieldRef: { containerName: "c", resource: "limits.cpu" },
  };
  const items = [field("labels", "metadata.labels"), field("name", "metadata.name"), resource];
  t.same(texts({ downwardAPI: { items } }), { labels: '644 a="1"\nb="2"', name: "644 web-1", cpu: "440 2" });
  const sources = [
    { serviceAccountToken: { path: "token", audience: "vault", expirationSeconds: 600 } },
    { secret: { name: "key" } },
    { downwardAPI: { items: [field("name", "metadata.name")] } },
  ];
  t.same(texts({ projected: { sources, defaultMode: 0o444 } }), {
    token: "444 v/token vault 600",
    tls: "444 pem",
    name: "444 web-1",
  });
});

t.test("files change together, by one link; those that are gone go", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-volume-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = (text: string, mode = 0o644) => ({ bytes: Buffer.from(text), mode });
  t.equal(
    writeFolder(
      folder,
      new Map([
        ["a", file("1")],
        ["d/b", file("2", 0o600)],
      ]),
      0,
    ),
    true,
  );
  t.same(
    readdirSync(folder).filter((name) => !name.startsWith("..1970")),
    ["..data", "a", "d"],
  );
  t.equal(readlinkSync(join(folder, "a")), "..data/a");
  t.match(readlinkSync(join(folder, "..data")), /^\.\.1970_01_01_00_00_00\./);
  t.equal(statSync(join(folder, "d/b")).mode & 0o777, 0o600);
  const before = readlinkSync(join(folder, "..data"));
  t.equal(
    writeFolder(
      folder,
      new Map([
        ["d/b", file("2", 0o600)],
        ["a", file("1")],
      ]),
      1000,
    ),
    false,
  );
  t.equal(readlinkSync(join(folder, "..data")), before, "nothing is written anew that says the same");
  t.equal(writeFolder(folder, new Map([["a", file("3")]]), 2000), true);
  t.equal(readFileSync(join(folder, "a"), "utf8"), "3");
  t.same(readdirSync(folder).length, 3, "one folder of a time is left");
});

t.test("volumes of a pod as folders, and where a container sees them", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-volumes-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const volumes = new PodVolumes({ own: `${folder}/own`, lab: `${folder}/lab` });
  const withVolumes = (list: Volume[]): Place => ({
    ...place,
    pod: { ...pod, spec: { ...pod.spec, volumes: list } },
  });
  const all = withVolumes([
    { name: "cfg", configMap: { name: "web" } },
    { name: "tmp", emptyDir: {} },
    { name: "data", persistentVolumeClaim: { claimName: "data-0" } },
    { name: "made", hostPath: { path: `${folder}/nowhere`, type: "DirectoryOrCreate" } },
  ]);
  await volumes.prepare(all);
  t.equal(readFileSync(`${folder}/own/cfg/b`, "utf8"), "two");
  t.equal(statSync(`${folder}/own/tmp`).mode & 0o7777, 0o1777);
  t.equal(statSync(`${folder}/own`).mode & 0o777, 0o700, "who is not in the pod does not see its files");
  t.ok(statSync(`${folder}/lab/claims/default/data-0`).isDirectory());
  t.equal(volumes.paths.get("made")?.path, `${folder}/lab/host${folder}/nowhere`);
  const mount = (...volumeMounts: object[]) =>
    mountsOf({ name: "c", volumeMounts } as never, volumes.paths, { P: "x" });
  t.same(mount({ name: "tmp", mountPath: "/a/", subPathExpr: "$(P)/y", readOnly: true }), [
    { source: `${folder}/own/tmp/x/y`, target: "/a", readOnly: true },
  ]);
  t.match(mount({ name: "cfg", mountPath: "/etc/x/b", subPath: "b" })[0], { readOnly: true });
  t.throws(() => mount({ name: "cfg", mountPath: "/x", subPath: "no" }), {
    message: 'failed to create subPath directory for volumeMount "cfg" of container "c"',
  });
  symlinkSync(folder, `${folder}/own/tmp/out`);
  symlinkSync("x", `${folder}/own/tmp/in`);
  for (const subPath of ["out", "out/new", "out/lab"])
    t.throws(() => mount({ name: "tmp", mountPath: "/x", subPath }), { message: /leads out of the volume/ });
  t.throws(() => statSync(`${folder}/new`), "nor is anything made there");
  t.equal(mount({ name: "tmp", mountPath: "/x", subPath: "in/z" }).length, 1, "a link within it");
  t.equal(havePlaces(mount({ name: "tmp", mountPath: "/no/such/place" })), false);
  t.equal(havePlaces(mount({ name: "tmp", mountPath: "/tmp" })), true);
  stored["ConfigMap default/web"] = { data: { b: "three" } };
  volumes.refresh(all);
  t.equal(readFileSync(`${folder}/own/cfg/b`, "utf8"), "three");
  rmSync(`${folder}/own/cfg`, { recursive: true });
  volumes.refresh(all);
  t.throws(() => statSync(`${folder}/own/cfg`), "what says the same is neither written nor looked at");
  stored["ConfigMap default/web"] = { data: { b: "four" } };
  volumes.refresh(all);
  t.equal(readFileSync(`${folder}/own/cfg/b`, "utf8"), "four");
  await t.rejects(volumes.prepare(withVolumes([{ name: "n", nfs: { server: "a", path: "/" } }])), {
    message: 'MountVolume.SetUp failed for volume "n" : no volume plugin matched: a lab has no nfs volumes',
  });
  const out = withVolumes([{ name: "o", persistentVolumeClaim: { claimName: "../../out" } }]);
  await t.rejects(volumes.prepare(out), { message: /persistentvolumeclaim "\.\.\/\.\.\/out" not found/ });
  t.throws(() => statSync(`${folder}/lab/out`));
  const absent = withVolumes([{ name: "h", hostPath: { path: "/no/such", type: "Directory" } }]);
  await t.rejects(volumes.prepare(absent), {
    message: /hostPath type check failed: \/no\/such is not a directory/,
  });
  await volumes.remove();
  t.throws(() => statSync(`${folder}/own`));
  t.ok(statSync(`${folder}/lab/claims/default/data-0`).isDirectory(), "a claim outlives its pods");
});

t.test("a pod's token stays until it is time for the next one", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-tokens-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const volumes = new PodVolumes({ own: `${folder}/own`, lab: `${folder}/lab` });
  const volume = accountVolume("kube-api-access-7xk2p");
  const own = { ...place, pod: { ...pod, spec: { ...pod.spec, volumes: [volume] } } };
  const token = () => readFileSync(`${folder}/own/${volume.name}/token`, "utf8");
  issued = 0;
  renewAtMs = Date.now() + 3_600_000;
  await volumes.prepare(own);
  t.equal(token(), "web-1/undefined/1");
  t.equal(readFileSync(`${folder}/own/${volume.name}/namespace`, "utf8"), "default");
  t.equal(volumes.renewAtMs, renewAtMs);
  volumes.refresh(own);
  t.equal(token(), "web-1/undefined/1");
  const late = new PodVolumes({ own: `${folder}/own`, lab: `${folder}/lab` });
  renewAtMs = 1;
  await late.prepare(own);
  t.equal(token(), "web-1/undefined/2", "whoever comes anew asks anew");
  late.refresh(own);
  t.equal(token(), "web-1/undefined/3", "its time has come");
  t.equal(new PodVolumes({ own: folder, lab: folder }).renewAtMs, Number.POSITIVE_INFINITY);
});

t.test("a pod has files of the objects that its volumes name, and of no others", async (t) => {
  const volumes = [
    { name: "a", configMap: { name: "web" } },
    { name: "b", secret: { secretName: "key" } },
    { name: "c", projected: { sources: [{ configMap: { name: "root" } }, { secret: { name: "more" } }] } },
    { name: "d", emptyDir: {} },
  ];
  const of = { ...pod, spec: { ...pod.spec, volumes } } as unknown as Pod;
  const has = (kind: string, name: string): boolean =>
    hasFilesOf(of, { apiVersion: "v1", kind, metadata: { name, namespace: "default" } } as KubeObject);
  for (const name of ["web", "root"]) t.ok(has("ConfigMap", name) && !has("Secret", name), name);
  for (const name of ["key", "more"]) t.ok(has("Secret", name) && !has("ConfigMap", name), name);
  t.notOk(has("ConfigMap", "other"));
  t.notOk(hasFilesOf(pod, { apiVersion: "v1", kind: "Secret", metadata: { name: "key" } } as KubeObject));
});
