import t from "tap";
import { warningLines } from "../../../kube/fields/warnings.ts";
import { parseManifests } from "../../../kube/manifest/manifest.ts";
import type { Container } from "../../../kube/objects.ts";
import { baseName, isInstalled } from "./built-in.ts";
import { imageNotes } from "./image-notes.ts";
import { imageProgram } from "./image-program.ts";

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

t.test("arguments follow the image's program, or say what runs, as entry points of images do", async (t) => {
  t.same(of({ image: "shop/cart", args: ["--port", "80"] }).argv, ["shopd", "--port", "80"]);
  t.same(of({ image: "shop/cart", args: ["sh", "-c", "x"] }).argv, ["sh", "-c", "x"]);
  t.same(of({ image: "shop/cart", command: ["a"], args: ["b"] }).argv, ["a", "b"]);
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
    ownRoot: false,
  });
  t.match(of({ image: "alpine", args: ["sleep", "9"] }), { use: "program", argv: ["sleep", "9"] });
  t.equal(of({ image: "notbusybox", command: ["wget"] }).applets, false);
  t.equal(isInstalled("no-such-program-here"), false);
  t.equal(isInstalled("sh"), true);
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
});
