// Makes what the tests of pod security compare with, and looks for more that is judged in another way.
//   node corpus.mjs make JUDGE                writes corpus.jsonl and admission.jsonl
//   node corpus.mjs fuzz JUDGE [COUNT SEED]   judges random pods and compares; needs npm run build
//   node corpus.mjs files JUDGE DIRECTORY     the same with the pods of a directory's YAML files
// JUDGE is the program of judge/ (README.md says how it is built).
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { requests } from "./requests.mjs";

const here = import.meta.dirname;
const RANDOM = 240;

/** The pods of checks.yaml: {check, passes, since, until, pod}. */
function written() {
  const checks = parse(readFileSync(join(here, "checks.yaml"), "utf8"));
  return Object.entries(checks).flatMap(([check, kinds]) =>
    ["pass", "fail"].flatMap((kind) =>
      kinds[kind].map((each) => {
        const { since, until, metadata, spec } = Array.isArray(each) ? { spec: { containers: each } } : each;
        const pod = { ...(metadata === undefined ? {} : { metadata }), spec };
        return { check, passes: kind === "pass", since, until, pod };
      }),
    ),
  );
}

/** Mulberry32. */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
}

const PROFILES = ["RuntimeDefault", "RuntimeDefault", "Localhost", "Unconfined", "", "Other"];
const SYSCTLS = [
  "kernel.shm_rmid_forced",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ip_local_reserved_ports",
].concat(
  ["net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"],
  ["net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_slow_start_after_idle", "kernel.msgmax", "net.core.somaxconn"],
);
const CAPABILITIES = ["ALL", "NET_BIND_SERVICE", "CHOWN", "KILL", "NET_RAW", "SYS_ADMIN", "CAP_CHOWN", "all"];
const VOLUMES = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
].concat([
  "projected",
  "secret",
  "hostPath",
  "hostPath",
  "nfs",
  "iscsi",
  "gitRepo",
  "fc",
  "rbd",
  "storageos",
  "portworxVolume",
]);
const HOSTS = ["", "", "127.0.0.1", "example.com", "::1"];
const ANNOTATIONS = [
  "runtime/default",
  "localhost/x",
  "docker/default",
  "unconfined",
  "",
  'a "quoted"\n\\text\u0007',
  "é\u{1F600}\u00ad",
];

/** One field of a security context, of a pod or of a container. */
function contextField(next, isPod) {
  const one = (list) => list[next(list.length)];
  const some = (list) => Array.from({ length: next(3) }, () => one(list));
  const fields = [
    () => ({ runAsNonRoot: next(3) > 0 }),
    () => ({ runAsUser: next(2) * 1000 }),
    () => ({ seccompProfile: { type: one(PROFILES) } }),
    () => ({ appArmorProfile: { type: one(PROFILES) } }),
    () => ({
      seLinuxOptions: {
        type: one(["", "container_t", "container_engine_t", "spc_t"]),
        ...(next(3) === 0 ? { user: "u" } : {}),
        ...(next(3) === 0 ? { role: "r" } : {}),
      },
    }),
    () => ({ windowsOptions: { hostProcess: next(2) === 0 } }),
    ...(isPod
      ? [() => ({ sysctls: some(SYSCTLS).map((name) => ({ name, value: "1" })) })]
      : [
          () => ({ privileged: next(2) === 0 }),
          () => ({ allowPrivilegeEscalation: next(3) === 0 }),
          () => ({ allowPrivilegeEscalation: false }),
          () => ({ procMount: one(["Default", "Unmasked", "Other"]) }),
          () => ({
            capabilities: {
              ...(next(2) ? { add: some(CAPABILITIES) } : {}),
              ...(next(2) ? { drop: some(CAPABILITIES) } : {}),
            },
          }),
          () => ({ capabilities: { drop: ["ALL"] } }),
        ]),
  ];
  return one(fields)();
}

function context(next, isPod) {
  if (next(3) === 0) return {};
  const fields = Array.from({ length: next(isPod ? 4 : 5) }, () => contextField(next, isPod));
  return { securityContext: Object.assign({}, ...fields) };
}

function container(next, name) {
  const one = (list) => list[next(list.length)];
  const handler = () => ({ [one(["httpGet", "tcpSocket"])]: { port: 80, host: one(HOSTS) } });
  return {
    name,
    ...context(next, false),
    ...(next(4) === 0
      ? {
          ports: [
            { containerPort: 80, hostPort: next(3) * 40 },
            { containerPort: 9, hostPort: 9 * next(2) },
          ],
        }
      : {}),
    ...(next(5) === 0 ? { [one(["livenessProbe", "readinessProbe", "startupProbe"])]: handler() } : {}),
    ...(next(6) === 0 ? { lifecycle: { [one(["preStop", "postStart"])]: handler() } } : {}),
  };
}

function randomPod(next) {
  const one = (list) => list[next(list.length)];
  const many = (prefix, most) =>
    Array.from({ length: next(most + 1) }, (_, i) => container(next, `${prefix}${i}`));
  const keys = [
    "container.apparmor.security.beta.kubernetes.io/c0",
    "container.apparmor.security.beta.kubernetes.io/x",
  ].concat([
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/c0",
    "x.io/y",
  ]);
  const annotations = Object.fromEntries(
    Array.from({ length: next(4) }, () => [one(keys), one(ANNOTATIONS)]),
  );
  const spec = {
    ...(next(3) === 0 ? { initContainers: many("i", 2) } : {}),
    containers: [container(next, "c0"), ...many("c1", 1)],
    ...(next(5) === 0 ? { ephemeralContainers: many("e", 2) } : {}),
    ...context(next, true),
    ...(next(3) === 0
      ? {
          volumes: Array.from({ length: 1 + next(3) }, (_, i) => ({
            name: `v${i}`,
            ...(next(9) ? { [one(VOLUMES)]: {} } : {}),
          })),
        }
      : {}),
    ...(next(3) === 0 ? { hostUsers: next(3) === 0 } : {}),
    ...(next(5) === 0 ? { os: { name: one(["windows", "linux"]) } } : {}),
    ...(next(6) === 0 ? { [one(["hostNetwork", "hostPID", "hostIPC"])]: true } : {}),
  };
  return next(3) === 0 ? { metadata: { annotations }, spec } : { spec };
}

function randomPods(count, seed) {
  const next = random(seed);
  return Array.from({ length: count }, () => randomPod(next));
}

function ask(judge, questions) {
  const input = questions.map((each) => JSON.stringify(each)).join("\n");
  const { status, stdout, stderr } = spawnSync(judge, { input, encoding: "utf8", maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`${judge}: status ${status}: ${stderr}`);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Findings once, and their numbers for each version that differs from the one before. */
function compact(pod, judged) {
  const findings = [];
  const numberOf = (finding) => {
    const at = findings.findIndex((each) => each.join("\n") === finding.join("\n"));
    return at < 0 ? findings.push(finding) - 1 : at;
  };
  const levels = Object.entries(judged).map(([level, versions]) => [
    level,
    Object.fromEntries(Object.entries(versions).map(([version, found]) => [version, found.map(numberOf)])),
  ]);
  return { pod, findings, ...Object.fromEntries(levels) };
}

function judgedPods(judge, pods) {
  const answers = ask(
    judge,
    pods.map((pod) => ({ pod })),
  );
  return pods.map((pod, i) => compact(pod, answers[i]));
}

function write(file, entries) {
  writeFileSync(join(here, file), `${entries.map((entry) => JSON.stringify(entry)).join("\n")}\n`);
  console.log(`${file}: ${entries.length}`);
}

function make(judge) {
  const own = written();
  const judged = judgedPods(judge, [...own.map(({ pod }) => pod), ...randomPods(RANDOM, 1)]);
  write(
    "corpus.jsonl",
    judged.map((entry, i) => {
      const { pod, ...label } = own[i] ?? {};
      return { ...label, ...entry };
    }),
  );
  const asked = requests();
  const answers = ask(
    judge,
    asked.map(({ title, ...admission }) => ({ admission })),
  );
  write(
    "admission.jsonl",
    asked.map((each, i) => ({ ...each, answer: answers[i] })),
  );
}

async function compare(entries) {
  const { differencesOf } = await import("../../../../build/src/testing/pod-security-corpus.js");
  const different = entries.flatMap((entry) =>
    differencesOf(entry).map((text) => `${JSON.stringify(entry.pod)}\n  ${text}`),
  );
  for (const line of different.slice(0, 20)) console.log(line);
  return different.length;
}

async function fuzz(judge, count, seed) {
  let different = 0;
  for (let done = 0; done < count; done += 5000) {
    different += await compare(judgedPods(judge, randomPods(Math.min(5000, count - done), seed + done)));
  }
  console.log(`${count} pods, ${different} cells judged in another way`);
  process.exitCode = different > 0 ? 1 : 0;
}

async function files(judge, directory) {
  const names = readdirSync(directory, { recursive: true }).filter((name) => name.endsWith(".yaml"));
  const pods = names.map((name) => parse(readFileSync(join(directory, name), "utf8")));
  const different = await compare(judgedPods(judge, pods));
  console.log(`${pods.length} pods, ${different} cells judged in another way`);
  process.exitCode = different > 0 ? 1 : 0;
}

const [task, judge, third, fourth = "1"] = process.argv.slice(2);
if (task === "make") make(judge);
else if (task === "fuzz") await fuzz(judge, Number(third ?? "20000"), Number(fourth));
else if (task === "files") await files(judge, third);
