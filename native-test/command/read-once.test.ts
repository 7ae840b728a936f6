// Input that can be read once, for the commands that need a lab or root: nothing is lost, nothing is read twice.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { service } from "../../src/testing/lab/objects.ts";
import { run } from "../../src/testing/lab/process.ts";

const skip = cannotRun("mkfifo");

/** How a script names a file's text; $F is the file. */
const WAYS = [
  (command: string) => `${command} <(cat "$F")`,
  (command: string) => `cat "$F" | ${command} -`,
  (command: string) => `cat "$F" | ${command} /dev/stdin`,
  (command: string) => `rm -f p; mkfifo p; cat "$F" >p & ${command} p`,
];

t.test("a running lab", { skip, timeout: 120_000 }, async (t) => {
  const lab = await TestLab.up("once", { nodes: [{ name: "node1" }] });
  t.teardown(() => lab.down());
  const shell = (script: string, file = "web.json") =>
    run(["bash", "-c", `cd ${lab.folder}; F=${file}; ${script}`], { timeoutMs: 60_000 });
  const podwire = `${PODWIRE} --lab ${lab.name}`;
  await writeFile(join(lab.folder, "web.json"), JSON.stringify(service("web")));
  await writeFile(join(lab.folder, "none.yaml"), "# nothing\n");

  t.test("apply and delete", async (t) => {
    for (const way of WAYS) {
      const applied = await shell(way(`${podwire} apply -f`));
      t.equal(applied.stdout, "service/web created\n", applied.stderr);
      const deleted = await shell(way(`${podwire} delete -f`));
      t.equal(deleted.stdout, 'service "web" deleted\n', deleted.stderr);
    }
  });

  t.test("two readers of one input", async (t) => {
    const { status, stderr } = await shell(`cat "$F" | ${podwire} apply -f - -f /dev/stdin`);
    t.equal(status, 2);
    t.equal(stderr, "error: -f - and -f /dev/stdin: standard input can be read only once\n");
    const both = `echo '{"apiVersion":"podwire.dev/v1alpha1","kind":"Lab","metadata":{"name":"t-once"},
      "spec":{"nodes":[{"name":"node1"}],"manifests":["/dev/stdin"]}}' | ${podwire} lab up -f -`;
    t.equal((await shell(both)).stderr, "error: /dev/stdin: standard input can be read only once\n");
    t.equal((await shell(`${podwire} get services web`)).status, 1, "nothing was applied");
  });

  t.test("no objects: kubectl's answers", async (t) => {
    const applied = await shell(`${podwire} apply -f none.yaml`);
    t.match([applied.status, applied.stderr], [1, /^error: apply: no objects in none\.yaml: [^\n]+\n$/]);
    const deleted = await shell(`${podwire} delete -f - <none.yaml`);
    t.same([deleted.status, deleted.stdout, deleted.stderr], [0, "", "No resources found\n"]);
  });

  t.test("lab up, with manifests beside the working directory", async (t) => {
    for (const way of WAYS) {
      const { status, stderr } = await shell(way(`${podwire} lab up -f`), "lab.yaml");
      t.match([status, stderr], [0, /lab t-once is complete: 1 node/]);
    }
    const { stderr } = await shell(`${PODWIRE} lab down -f <(echo '{"kind":"Lab"}')`);
    t.match(stderr, /^error: \/dev\/fd\/\d+:\d+:\d+: [^\n]+\n$/, "named as it was given");
  });
});

t.test("agent", { skip }, async (t) => {
  const config = (source: string) => `apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: node1
clusterCIDR: 10.244.0.0/16
serviceCIDR: 10.96.0.0/12
uplink: { interface: nosuch0 }
host: { interface: nosuch1 }
socket: /nonexistent/agent.sock
source: { files: [ ${source} ] }
`;
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-once-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const agent = async (way: (command: string) => string, source: string) => {
    await writeFile(join(folder, "agent.yaml"), config(source));
    return run(["bash", "-c", `cd ${folder}; F=agent.yaml; ${way(`${PODWIRE} agent --config`)}`]);
  };
  const once =
    /can be read only once, and an agent reads its objects again whenever one changes: name a file/;
  for (const way of WAYS.slice(0, 3)) {
    for (const source of ["/dev/stdin", '"-"', "/dev/fd/0"]) {
      const { status, stderr } = await agent(way, source);
      t.match([status, stderr], [1, once], source);
      t.match(stderr, `error: source.files: ${source.replaceAll('"', "")}: `);
    }
  }
  const { status, stderr } = await agent(WAYS[0], "/nonexistent");
  t.match(
    [status, stderr],
    [1, /nosuch0/],
    "the configuration was read: the agent looks for its devices, and ends",
  );
});
