// What attach shows: a container's output from now on, or all of it where the container was made for one who attaches.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Container, Pod } from "../../../kube/objects.ts";
import { LabPrograms, type PodHandle } from "./lab-programs.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-attach-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const file = join(folder, "c.log");
writeFileSync(file, "said before\n");

const handle: PodHandle = {
  netns: "",
  entranceOf: () => ({ words: [], env: {} }),
  logFile: () => file,
  logTimes: () => ({ starts: [0], times: [] }),
  processOf: () => undefined,
  inputOf: () => undefined,
  ending: true,
};
const programs = new LabPrograms(() => handle);

async function attached(container: Partial<Container> & { stdinOnce?: boolean }): Promise<string> {
  const containers = [{ name: "c", image: "busybox", ...container }];
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec: { containers }, status: {} };
  const io = { stdin: true, stdout: true, stderr: false, tty: true };
  const { stdout } = await programs.attach(pod as unknown as Pod, "c", io);
  let text = "";
  for await (const chunk of stdout ?? []) text += chunk;
  return text;
}

t.test(
  "attach: from now on, but from its start of a container with stdinOnce, as kubectl run -i makes it",
  async (t) => {
    t.equal(await attached({}), "");
    t.equal(await attached({ stdinOnce: true }), "said before\n");
  },
);
