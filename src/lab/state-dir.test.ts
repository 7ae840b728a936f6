// What a lab keeps in files, read again when it is not what a lab writes; and its process when it answers no lab's words.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { openCluster } from "./cluster-state.ts";
import { labCall } from "./lab-call.ts";
import { type LabPaths, labPaths, podDirectory, readJson, readTopology } from "./state-dir.ts";
import { planTopology } from "./topology.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-state-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const paths: LabPaths = {
  ...labPaths("x"),
  topology: join(directory, "topology.json"),
  state: join(directory, "state.json"),
  socket: join(directory, "lab.sock"),
};

const broken = [
  ...["", "{", "null", "7", '"x"', "[]", "{}"],
  ...['{"lab":"x"}', '{"lab":"x","nodes":null,"clients":[]}', '{"lab":"x","nodes":[null],"clients":[]}'],
  '{"lab":7,"nodes":[],"clients":[]}',
];

t.test("a plan is read as it was written", async (t) => {
  const plan = planTopology("x", {});
  writeFileSync(paths.topology, JSON.stringify(plan));
  t.same(readTopology(paths), JSON.parse(JSON.stringify(plan)));
});

for (const text of broken)
  t.test(`a plan of ${text === "" ? "nothing" : text} is none`, async (t) => {
    writeFileSync(paths.topology, text);
    t.equal(readTopology(paths), undefined);
  });

t.test("what is no object is as if it were missing", async (t) => {
  for (const text of ["null", "7", '"x"', "{"]) {
    writeFileSync(paths.topology, text);
    t.equal(readJson(paths.topology), undefined, text);
  }
});

t.test("an answer that is no JSON is an error of the call, not of the process", async (t) => {
  const server = createServer((_request, response) => response.end("<html>"));
  await new Promise<void>((resolve) => server.listen(paths.socket, resolve));
  t.teardown(() => server.close());
  await t.rejects(labCall(paths, { path: "/status" }), { code: "LAB_ANSWER", message: /no answer of a lab/ });
});

t.test("a lab goes on with the objects it had, and refuses what are none", async (t) => {
  const open = () => openCluster(planTopology("x", {}), paths, (line) => t.fail(line));
  const { cluster, save } = open();
  cluster.update({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } } as never);
  writeFileSync(paths.state, "an older podwire's, which all may read");
  await save();
  t.equal(statSync(paths.state).mode & 0o777, 0o600, "there are Secrets in it");
  t.ok(open().cluster.get("Namespace", "shop"), "what was saved is there again");
  const saved = '"saved":{"nodes":{},"pods":{},"services":{}}';
  const wrong = ["", "{", "[]", '{"version":1}', '{"saved":{},"objects":[]}', `{${saved},"objects":[{}]}`];
  for (const text of [...wrong, `{${saved},"objects":[null]}`, `{${saved}}`]) {
    writeFileSync(paths.state, text);
    t.throws(
      open,
      { code: "LAB_BAD_STATE", message: /state\.json: not the objects of a lab: podwire lab down --lab x/ },
      text,
    );
  }
});

t.test("a pod's directory has a name that a file system takes, and each pod its own", async (t) => {
  t.equal(podDirectory(paths, "default", "web"), `${paths.pods}/default_web`);
  const long = (last: string) =>
    podDirectory(paths, "default", `${"a".repeat(252)}${last}`).slice(paths.pods.length + 1);
  t.equal(long("b").length, 255);
  t.not(long("b"), long("c"));
  t.equal(long("b"), long("b"));
});
