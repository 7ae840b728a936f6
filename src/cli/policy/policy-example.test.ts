// The three tiers that docs/policy.md and the demo show: what is said of them there, and the policies are those that the
// tests of these commands have.
import { readFileSync } from "node:fs";
import t from "tap";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { CommandLine } from "../../testing/command-line.ts";

const EXAMPLE = "src/lab/scenario/three-tier.yaml";
const TESTED = "src/calico/felix/testdata/three-tier.yaml";
const commands = new CommandLine();
t.teardown(() => commands.close());
const policiesOf = (file: string): KubeObject[] =>
  parseManifests([{ file, text: readFileSync(file, "utf8") }])
    .map(({ object }) => object)
    .filter(({ kind }) => kind.endsWith("NetworkPolicy"));

t.test("its policies are those of the commands' tests", async (t) => {
  t.equal(policiesOf(EXAMPLE).length, 2);
  t.same(policiesOf(EXAMPLE), policiesOf(TESTED));
});

t.test("the page's tables are what the commands print", async (t) => {
  const page = readFileSync("docs/policy.md", "utf8").replaceAll("-f three-tier.yaml", `-f ${EXAMPLE}`);
  const shown = [
    ...page.matchAll(/^\$ podwire (policy (?:matrix|check) -f \S*scenario\S*(?! --expect).*)\n([^$`]*)/gm),
  ];
  t.ok(shown.length >= 3);
  for (const [, command, text] of shown) {
    if (command.includes("--expect")) continue;
    const { stdout, stderr } = commands.run(command.split(" "));
    t.equal(stdout + stderr, text, command);
  }
});

t.test("its lab file is read, and names it", async (t) => {
  const { stdout, status, stderr } = commands.run(["explain", "-f", EXAMPLE, "--manifest-only"]);
  t.equal(status, 0, stdout + stderr);
  const lab = readFileSync(EXAMPLE.replace(".yaml", ".lab.yaml"), "utf8");
  t.match(lab, /^ {2}manifests: \[three-tier\.yaml\]$/m);
});
