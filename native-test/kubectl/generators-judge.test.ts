// Objects from words, kubectl as judge: the same words through kubectl and through podwire make the same object.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";

const skip = cannotRun("kubectl");

type Json = { [key: string]: Json } | Json[] | string | number | boolean | null;

/** What kubectl's typed objects print although nothing was said of it. */
function pruned(value: Json): Json | undefined {
  if (value === null) return undefined;
  if (Array.isArray(value)) return value.map((each) => pruned(each) ?? {});
  if (typeof value !== "object") return value;
  const pairs = Object.entries(value)
    .map(([key, each]) => [key, pruned(each)] as const)
    .filter(
      ([, each]) =>
        each !== undefined && !(typeof each === "object" && Object.keys(each as object).length === 0),
    );
  return Object.fromEntries(pairs) as Json;
}

t.test("kubectl makes the same of the same words", { skip }, async (t) => {
  const folder = t.testdir({ dir: { a: "1", b: "two" } });
  await writeFile(join(folder, "binary"), Buffer.from([0xff, 0, 1]));
  await writeFile(join(folder, "env"), "A=1\n# no\n  B=x=y\nC=\n");
  const file = (name: string): string => join(folder, name);
  const made = async (
    program: readonly string[],
    words: readonly string[],
  ): Promise<Json | undefined | string> => {
    const end = words.includes("--") ? words.indexOf("--") : words.length;
    const dry = ["--dry-run=client", "-o", "json"];
    const all = [...program, ...words.slice(0, end), ...dry, ...words.slice(end)];
    const { status, stdout } = await run(all, { env: { KUBECONFIG: "/dev/null", HOME: folder } });
    return status === 0 ? pruned(JSON.parse(stdout)) : "refused";
  };
  const cases = [
    ["create", "deployment", "web", "--image=nginx:1.25", "--replicas=3", "--port=8080"],
    ["create", "deployment", "web", "--image=r.io:5000/x/nginx", "--image=busybox@sha256:abc"],
    ["create", "deployment", "web", "-n", "prod", "--image=busybox", "--", "sh", "-c", "sleep 1"],
    ["create", "deployment", "web", "--image=a,b", "--", "sh"],
    ["create", "deployment", "web"],
    ["create", "job", "j", "--image=busybox", "--", "date"],
    ["create", "job", "j"],
    ["create", "service", "clusterip", "s", "--tcp=80:8080", "--tcp=443"],
    ["create", "service", "clusterip", "s", "--tcp=80:http"],
    ["create", "service", "clusterip", "s", "--clusterip=None"],
    ["create", "service", "clusterip", "s"],
    ["create", "service", "clusterip", "s", "--tcp=80:70000"],
    ["create", "service", "nodeport", "s", "--tcp=80:8080", "--node-port=30080"],
    ["create", "service", "loadbalancer", "s", "--tcp=80:8080"],
    ["create", "service", "externalname", "s", "--external-name=example.org"],
    ["create", "configmap", "c", "--from-literal=a=b=c", "--from-literal=d="],
    ["create", "configmap", "c", `--from-file=${file("dir")}`, `--from-file=k=${file("env")}`],
    ["create", "configmap", "c", `--from-file=${file("binary")}`],
    ["create", "configmap", "c", `--from-env-file=${file("env")}`],
    ["create", "configmap", "c", `--from-env-file=${file("env")}`, "--from-literal=a=b"],
    ["create", "configmap", "c", "--from-literal=a=b", "--from-literal=a=c"],
    ["create", "configmap", "c", "--from-literal=a"],
    ["create", "configmap", "c", "--from-literal=a b=c"],
    ["create", "configmap", "c", `--from-file=${file("none")}`],
    ["create", "secret", "generic", "s", "--from-literal=k=v", "--type=example.org/x"],
    [
      "create",
      "secret",
      "docker-registry",
      "s",
      "--docker-username=u",
      "--docker-password=p",
      "--docker-email=e@x",
    ],
    ["create", "namespace", "prod"],
    ["create", "serviceaccount", "robot", "-n", "prod"],
    ["create", "ingress", "i", "--rule=a.b/x*=svc:80,tls=cert", "--rule=a.b/=api:http", "--class=c"],
    ["create", "ingress", "i", "--rule=/=svc:80,tls", "--annotation=k=v", "--default-backend=svc:http"],
    ["create", "ingress", "i", "--rule=nopath"],
    ["create", "ingress", "i"],
  ];
  for (const words of cases) {
    const [theirs, ours] = await Promise.all([made(["kubectl"], words), made([PODWIRE], words)]);
    t.same(ours, theirs, words.join(" "));
  }
});
