// What goes wrong is said in one line that names what and where, with the exit status that the command line
// promises.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { type Result, run } from "../../src/testing/lab/process.ts";

const skip = cannotRun("unshare", "setpriv", "mount");

function refused(t: Test, result: Result, status: number, message: RegExp): void {
  t.equal(result.status, status, result.stderr);
  t.match(result.stderr, message);
  // A command that was at work already has said so before.
  t.match(result.stderr, /^(?:(?!error:)[^\n]*\n)*error: [^\n]+\n$/, "one line");
}

t.test("refused before anything is made", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-bad-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const lab = [PODWIRE, "--lab", "t-bad", "lab", "up"];

  t.test("no root", async (t) => {
    // Not as another user: the checkout may lie where only root looks.
    const nobody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    refused(t, await run([...nobody, ...lab]), 1, /CAP_NET_ADMIN.* missing\): run as root/);
  });

  t.test("no /dev/net/tun", async (t) => {
    const hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"];
    refused(t, await run([...hidden, ...lab]), 1, /\/dev\/net\/tun/);
  });

  t.test("an unknown flag", async (t) => refused(t, await run([...lab, "--nonsense"]), 2, /--nonsense/));
  t.test("an unknown command", async (t) => refused(t, await run([PODWIRE, "nonsense"]), 2, /nonsense/));

  t.test("a lab file that is no YAML", async (t) => {
    const file = join(folder, "broken.yaml");
    await writeFile(file, "kind: Lab\nspec:\n  nodes: [ { name: node1 }\n");
    refused(t, await run([...lab, "-f", file]), 1, /broken\.yaml:[34]/);
  });

  t.test("a lab whose addresses cannot be", async (t) => {
    const file = join(folder, "addresses.yaml");
    const nodes = "[ { name: a, address: 192.168.50.255 }, { name: b, address: 192.168.50.12 } ]";
    await writeFile(file, `apiVersion: podwire.dev/v1alpha1\nkind: Lab\nspec: { nodes: ${nodes} }\n`);
    refused(
      t,
      await run([...lab, "-f", file]),
      1,
      /addresses\.yaml:3:\d+: .*nodes\[0\]\.address: .*broadcast/,
    );
  });

  t.test("a lab that does not run", async (t) => {
    refused(t, await run([PODWIRE, "--lab", "t-bad", "get", "pods"]), 1, /t-bad/);
  });
  t.equal((await run(["ip", "netns", "list"])).stdout.includes("pw-t-bad-"), false, "nothing was made");
});

t.test("refused by a running lab", { skip }, async (t) => {
  const lab = await TestLab.up("refuse", { objects: [client("client-1", "node1")] });
  t.teardown(() => lab.down());
  const apply = async (name: string, ...objects: object[]) => {
    const file = join(lab.folder, name);
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    return lab.podwire(["apply", "-f", file]);
  };

  t.test("broken YAML", async (t) => {
    const file = join(lab.folder, "broken.yaml");
    await writeFile(file, "apiVersion: v1\nkind: Pod\nmetadata: { name: x\n");
    refused(t, await lab.podwire(["apply", "-f", file]), 1, /broken\.yaml:[34]/);
  });

  t.test("a Service with port 70000", async (t) => {
    const bad = service("web", { ports: [{ port: 70000, protocol: "TCP" }] });
    refused(t, await apply("port.json", client("good", "node1"), bad), 1, /spec\.ports\[0\]\.port.*70000/);
    const pods = await lab.json("get", "pods");
    const names = pods.items.map((p: { metadata: { name: string } }) => p.metadata.name);
    t.same(names, ["client-1"], "nothing of that call was applied");
  });

  t.test("two pods with one address", async (t) => {
    const address = { status: { podIP: "10.244.1.77", podIPs: [{ ip: "10.244.1.77" }] } };
    const twins = ["twin-1", "twin-2"].map((name) => ({ ...pod(name, "node1"), ...address }));
    refused(t, await apply("twins.json", ...twins), 1, /10\.244\.1\.77/);
  });

  t.test("taken, with a word about what does nothing", async (t) => {
    const base = client("waits", "node1") as { spec: object };
    const waits = { ...base, spec: { ...base.spec, overhead: { cpu: "1" } } };
    const again = { ...waits, metadata: { name: "waits-2" } };
    const result = await apply("init.json", waits, again);
    t.equal(result.status, 0);
    t.equal(
      result.stderr,
      'warning: Pod "waits" and 1 more: spec.overhead: resources are neither reserved nor limited (docs/fields.md)\n',
    );
    const named = service("zeros", { type: "ClusterIP", clusterIP: "10.96.011.012", ports: [{ port: 80 }] });
    for (const word of ["created", "unchanged"]) {
      const said = await apply("zeros.json", named);
      t.match(said, { status: 0, stdout: `service/zeros ${word}\n` });
      t.match(
        said.stderr,
        /^warning: Service "zeros": spec\.clusterIP: non-standard IP address "10\.96\.011\.012"/,
      );
    }
    const got = await lab.json("get", "service", "zeros");
    t.equal(got.spec.clusterIP, "10.96.11.12");
  });

  t.test("a program that is not there", async (t) => {
    const result = await lab.exec("client-1", ["no-such-program"]);
    refused(t, result, 127, /no-such-program/);
  });

  t.test("a workload that is not there", async (t) => {
    refused(t, await lab.exec("nobody", ["true"]), 1, /nobody/);
  });

  t.test("a full disk for a capture", async (t) => {
    refused(
      t,
      await lab.podwire(["capture", "client-1", "-w", "/dev/full", "-c", "1"]),
      1,
      /\/dev\/full|space/,
    );
  });

  t.test("a capture filter that is none", async (t) => {
    refused(t, await lab.podwire(["capture", "client-1", "-w", "/dev/null", "no such filter"]), 2, /filter/);
  });
});
