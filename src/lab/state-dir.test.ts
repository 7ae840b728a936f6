// What a lab keeps in files, read again when it is not what a lab writes; and its process when it answers no lab's words.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { labCall } from "./lab-call.ts";
import { type LabPaths, labPaths, readJson, readTopology } from "./state-dir.ts";
import { planTopology } from "./topology.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-state-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const paths: LabPaths = {
  ...labPaths("x"),
  topology: join(directory, "topology.json"),
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
