import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import t from "tap";
import { warningLines } from "../../../kube/fields/warnings.ts";
import { parseManifests } from "../../../kube/manifest/manifest.ts";
import type { Container, Pod } from "../../../kube/objects.ts";
import { baseName, isInstalled } from "./built-in.ts";
import { imageNotes } from "./image-notes.ts";
import { imageProgram, insteadOf, type Role, roleOf } from "./image-program.ts";
import { standInPorts } from "./stand-in-ports.ts";

const rules = [
  { match: "shop/*", run: ["shopd", "--serve"] },
  { match: "nginx", run: ["mynginx", "-g", "daemon off;"] },
];
const of = (container: Partial<Container>) => imageProgram({ name: "c", ...container }, rules);

t.test("the echo image is built in; of others lab.yaml's rules come first", async (t) => {
  for (const image of ["podwire/echo", "podwire/echo:1", "docker.io/podwire/echo@sha256:0"])
    t.equal(of({ image }).use, "echo");
  t.equal(of({ image: "podwire/echo", command: ["sleep"] }).use, "command");
  t.match(of({ image: "docker.io/library/nginx:1.27-alpine" }), {
    use: "program",
    argv: ["mynginx"],
    ownRoot: true,
  });
  t.same(of({ image: "shop/cart:3" }).argv, ["shopd", "--serve"]);
  t.equal(baseName("registry.example:5000/a/b/redis:7@sha256:0"), "redis");
});

t.test("the gateway's image is this very command line", async (t) => {
  const run = [process.execPath, process.argv[1], "gateway"];
  const args = ["--config", "/etc/gateway.yaml"];
  for (const image of ["podwire/gateway", "podwire/gateway:1", "docker.io/podwire/gateway@sha256:0"])
    t.same(of({ image, args }).argv, [...run, ...args], image);
  t.not(of({ image: "envoyproxy/gateway:1", args }).use, "program", "and nobody else's of that name");
});

t.test("arguments follow the image's program, or say what runs, as entry points of images do", async (t) => {
  t.same(of({ image: "shop/cart", args: ["--port", "80"] }).argv, ["shopd", "--port", "80"]);
  t.same(of({ image: "shop/cart", args: ["sh", "-c", "x"] }).argv, ["sh", "-c", "x"]);
  t.same(of({ image: "shop/cart", command: ["sh"], args: ["-c", "b"] }).argv, ["sh", "-c", "b"]);
});

t.test("an image that nobody knows has a stand-in where it serves something", async (t) => {
  t.equal(of({ image: "weave/front-end:0.3", ports: [{ containerPort: 8079 }] }).use, "stand-in");
  for (const image of ["my/podwire/echo-not", "podwire/echo2", "weave/front-end"])
    t.equal(of({ image }).use, "none", image);
  t.equal(
    of({ image: "x", ports: [{ containerPort: 1, protocol: "SCTP" }] }).use,
    "none",
    "which echo has not",
  );
});

t.test("busybox' applets are those of its containers", async (t) => {
  t.match(of({ image: "busybox:1.36", command: ["wget"] }), {
    use: "command",
    applets: true,
    ownRoot: true,
  });
  t.equal(of({ image: "busybox", command: ["wget"] }).ownRoot, false, "a plain word: the machine's files");
  t.match(of({ image: "alpine", args: ["sleep", "9"] }), { use: "program", argv: ["sleep", "9"] });
  t.equal(of({ image: "notbusybox", command: ["wget"] }).applets, false);
  t.equal(isInstalled("no-such-program-here"), false);
  t.equal(isInstalled("sh"), true);
});

t.test("a command that lies in its image is not looked for on this machine", async (t) => {
  const ports = [{ containerPort: 80 }];
  const lacking = (container: object): string => of({ image: "x/y:1", ports, ...container }).use;
  for (const command of [["/app"], ["./server"], ["no-such-program-here", "-v"], ["node", "app.js"]])
    t.equal(lacking({ command }), "stand-in", command.join(" "));
  t.equal(lacking({ command: ["sh", "/opt/run.sh"] }), "stand-in");
  t.equal(lacking({ command: ["sh"], args: ["run.sh"], workingDir: "/usr" }), "stand-in");
  t.equal(lacking({ command: ["./sh"], workingDir: "/bin" }), "command", "where it begins is what counts");
  for (const command of [["sh", "-c", "x"], ["sh"], ["node", "-e", "1"], ["$(WHAT)"], ["sh", "$(WHAT)"]])
    t.equal(lacking({ command }), "command", command.join(" "));
  const volumeMounts = [{ name: "scripts", mountPath: "/scripts/" }];
  t.equal(lacking({ command: ["/scripts/go"], volumeMounts }), "command", "a volume has it");
  t.equal(lacking({ command: ["/scripts-2/go"], volumeMounts }), "stand-in");
  t.equal(of({ image: "host", command: ["/app"], ports }).use, "command", "a plain word is this machine");
  t.equal(of({ image: "podwire/host", command: ["/app"], ports }).use, "command");
  t.match(of({ image: "x/y:1", command: ["/app"] }), { use: "none", standsIn: true });
  t.match(of({ image: "host" }), { use: "none", standsIn: false });
  t.same(of({ image: "shop/cart", command: ["/cart"], args: ["--fast"] }).argv, ["shopd", "--serve"]);
});

t.test("what is to end and cannot be run has ended well; who goes on is kept", async (t) => {
  const image = "shop2/migrate:1";
  const use = (role: Role, container: object): string =>
    imageProgram({ name: "c", image, ...container }, [], role).use;
  const ports = [{ containerPort: 80 }];
  for (const role of ["init", "job"] as const) {
    t.equal(use(role, {}), "done");
    t.equal(use(role, { command: ["/migrate"], ports }), "done");
    t.equal(use(role, { command: ["true"] }), "command");
  }
  const shell = { name: "c", image, command: ["sh", "-c", "migrate"] };
  const replaced = (role: Role, more: object = {}) => {
    const container = { ...shell, ...more };
    return insteadOf(imageProgram(container, [], role), container, role);
  };
  t.match(replaced("init"), { use: "done", argv: ["true"] });
  t.equal(replaced("job"), undefined, "a Job's failure stands");
  t.match(replaced("stays"), { use: "program", argv: ["sleep", "infinity"], standsIn: true });
  t.match(replaced("stays", { ports }), { use: "stand-in", standsIn: true });
  t.equal(replaced("stays", { image: "host" }), undefined);
  t.equal(replaced("stays", { image: "busybox:1" }), undefined);
  const owner = { kind: "Job", controller: true } as never;
  const pod = (owners: never[]) => ({ metadata: { ownerReferences: owners } }) as unknown as Pod;
  t.equal(roleOf(pod([owner]), shell, false), "job");
  t.equal(roleOf(pod([]), shell, false), "stays");
  t.equal(roleOf(pod([owner]), shell, true), "init");
  t.equal(roleOf(pod([]), { ...shell, restartPolicy: "Always" } as Container, true), "stays", "a sidecar");
});

t.test("a stand-in answers where its probes ask, too", async (t) => {
  const probe = (over: object) => ({ livenessProbe: over, name: "c" }) as Container;
  t.same(standInPorts(probe({ httpGet: { port: 8081 } })), ["8081/TCP"]);
  t.same(standInPorts(probe({ grpc: { port: 9 } })), ["9/TCP"]);
  t.same(standInPorts(probe({ tcpSocket: { port: "web" } })), [], "a name is that of a containerPort");
  t.same(standInPorts(probe({ httpGet: { port: 80, host: "10.0.0.1" } })), [], "of another host");
  t.same(standInPorts(probe({ exec: { command: ["x"] } })), []);
  const ports = [
    { containerPort: 80 },
    { containerPort: 80, name: "again" },
    { containerPort: 53, protocol: "UDP" },
    { containerPort: 5, protocol: "SCTP" },
  ];
  const both = { ...probe({ httpGet: { port: 80 } }), ports };
  t.same(standInPorts(both), ["80/TCP", "53/UDP"], "each once");
  t.same(standInPorts(probe({ httpGet: { port: 80 } }), [both]), [], "the other container has it");
  t.equal(of({ image: "x/y:1", readinessProbe: { grpc: { port: 9 } } }).use, "stand-in");
});

t.test("redis has its own settings also where the manifest calls it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-image-"));
  const path = process.env.PATH;
  t.teardown(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, "redis-server"), "", { mode: 0o755 });
  process.env.PATH = `${folder}${delimiter}${path}`;
  const { argv, workingDir } = of({ image: "redis:7", command: ["redis-server", "/etc/r.conf"] });
  t.same(argv, ["redis-server", "/etc/r.conf", "--protected-mode", "no"]);
  t.equal(workingDir, "/data");
});

t.test("an image that a stand-in answers for is said, and no other", async (t) => {
  const lines = (containers: string): string[] => {
    const text = `{ apiVersion: v1, kind: Pod, metadata: { name: a }, spec: { containers: [${containers}] } }`;
    return warningLines(imageNotes(parseManifests([{ file: "a.yaml", text }]), rules), "lab");
  };
  t.match(lines("{ name: c, image: weave/cart, ports: [{ containerPort: 80 }] }"), [
    /^warning: Pod "a": spec\.containers\[\*\]\.image: this image is not run: podwire\/echo stands in on its/,
  ]);
  t.same(lines("{ name: c, image: shell }"), []);
  t.same(lines("{ name: c, image: nginx, ports: [{ containerPort: 80 }] }"), []);
  t.same(lines("{ name: c, image: podwire/echo:1, ports: [{ containerPort: 80 }] }"), []);
  t.match(lines("{ name: c, image: x/y:1, command: [/app] }"), [
    /image: its command is not on this machine, so nothing/,
  ]);
  t.same(lines("{ name: c, image: x/y:1, command: [sleep, inf] }"), []);
});

t.test("of what is to end it is said that it counts as done", async (t) => {
  const spec = "{ template: { spec: { restartPolicy: Never, containers: [{ name: c, image: x/y:1 }] } } }";
  const text = `{ apiVersion: batch/v1, kind: Job, metadata: { name: j }, spec: ${spec} }`;
  const said = warningLines(imageNotes(parseManifests([{ file: "j.yaml", text }]), rules), "lab");
  t.match(said, [
    /spec\.template\.spec\.containers\[\*\]\.image: this image is not run: what it is to do and end counts as/,
  ]);
  const pod = "{ initContainers: [{ name: i, image: x/y:1 }], containers: [{ name: c, image: shell }] }";
  const inits = `{ apiVersion: v1, kind: Pod, metadata: { name: p }, spec: ${pod} }`;
  t.match(warningLines(imageNotes(parseManifests([{ file: "p.yaml", text: inits }]), rules), "lab"), [
    /initContainers\[\*\]\.image: .*counts as done/,
  ]);
});
