// Verbs that change something, through kubectl and through podwire, side by side on one lab: what they say, how they end,
// and what is there afterwards.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { type Result, run, until } from "../../src/testing/lab/process.ts";

interface Asserts {
  equal(found: unknown, wanted: unknown, about: string): unknown;
}

const skip = cannotRun("kubectl", "script", "sh");

t.test("the same changes", { skip }, async (t) => {
  const lab = await TestLab.up("same-changes", { nodes: [{ name: "node1" }] });
  t.teardown(() => lab.down());
  const kubeconfig = join(lab.folder, "kubeconfig");
  await writeFile(kubeconfig, await lab.output(["kubeconfig"]));
  const env = { KUBECONFIG: kubeconfig, HOME: lab.folder };
  const kubectl = (...args: string[]): Promise<Result> => run(["kubectl", ...args], { env });
  const podwire = (...args: string[]): Promise<Result> => lab.podwire(args);
  /** NAME is another object's for each of the two, and so are the words in which it is told. */
  const both = async (...args: string[]): Promise<[theirs: Result, ours: Result]> => {
    const named = (name: string): string[] => args.map((word) => word.replaceAll("NAME", name));
    const plain = (result: Result, name: string): Result => ({
      ...result,
      stdout: result.stdout.replaceAll(name, "NAME"),
      stderr: result.stderr.replaceAll(name, "NAME"),
    });
    const [theirs, ours] = await Promise.all([kubectl(...named("kube")), podwire(...named("pod-w"))]);
    return [plain(theirs, "kube"), plain(ours, "pod-w")];
  };
  const same = async (t: Asserts, ...args: string[]): Promise<string> => {
    const [theirs, ours] = await both(...args);
    t.equal(ours.stdout.trim(), theirs.stdout.trim(), args.join(" "));
    t.equal(Math.min(ours.status ?? 9, 1), theirs.status, `status of ${args.join(" ")}: ${ours.stderr}`);
    return ours.stdout;
  };
  /** What is waited for is chance. */
  const sameEnd = async (t: Asserts, ...args: string[]): Promise<void> => {
    const [theirs, ours] = await both(...args);
    const last = ({ stdout }: Result): string | undefined => stdout.trim().split("\n").at(-1);
    t.equal(last(ours), last(theirs), args.join(" "));
    t.equal(ours.status, theirs.status, `status of ${args.join(" ")}: ${ours.stderr}`);
  };

  t.test("create, expose, scale, label, rollout", async (t) => {
    await same(t, "create", "deployment", "NAME", "--image=podwire/echo", "--port=8080", "--replicas=2");
    await same(t, "create", "deployment", "NAME", "--image=podwire/echo");
    await sameEnd(t, "rollout", "status", "deployment", "NAME", "--timeout=30s");
    await same(t, "expose", "deployment", "NAME", "--port=80", "--target-port=8080");
    await same(t, "expose", "deployment", "NAME", "--name=NAME-2", "--type=NodePort", "-l", "a=b");
    await same(t, "expose", "deployment", "none", "--port=80");
    await same(t, "expose", "configmap", "kube-root-ca.crt");
    const path =
      "jsonpath={.spec.type}{.spec.ports[*].port}{.spec.ports[*].targetPort}{.spec.ports[*].protocol}{.metadata.labels}{.spec.selector}";
    for (const name of ["NAME", "NAME-2"]) await same(t, "get", "svc", name, "-o", path);
    await same(t, "create", "service", "clusterip", "NAME-3", "--tcp=80:8080");
    await same(t, "create", "configmap", "NAME", "--from-literal=a=b", "-o", "jsonpath={.data}");
    await same(t, "create", "secret", "generic", "NAME", "--from-literal=a=b", "-o", "name");
    await same(t, "create", "namespace", "NAME-ns");
    await same(t, "create", "serviceaccount", "NAME", "-n", "NAME-ns");
    await same(t, "create", "job", "NAME", "--image=busybox", "--dry-run=server", "--", "date");
    await same(t, "create", "ingress", "NAME", "--rule=a.b/=NAME:80", "--class=x");
    await same(t, "create", "configmap", "NAME-dry", "--dry-run=client", "--from-literal=a=b", "-o", "name");
    await same(t, "label", "deployment", "NAME", "tier=front");
    await same(t, "label", "deployment", "NAME", "tier=back");
    await same(t, "label", "deployment", "NAME", "tier=back", "--overwrite");
    await same(t, "annotate", "deployment", "NAME", "kubernetes.io/change-cause=first");
    await same(t, "scale", "deployment", "NAME", "--replicas=1");
    await same(t, "scale", "deployment/NAME", "--replicas=2", "--current-replicas=1");
  });

  t.test("rollout history, undo, pause and resume", async (t) => {
    const patch = '{"spec":{"template":{"metadata":{"annotations":{"n":"NUMBER"}}}}}';
    for (const n of ["1", "2"]) {
      for (const name of ["kube", "pod-w"])
        await kubectl("patch", "deployment", name, "-p", patch.replace("NUMBER", n));
      for (const name of ["kube", "pod-w"])
        await kubectl("rollout", "status", "deployment", name, "--timeout=30s");
    }
    const history = await same(t, "rollout", "history", "deployment", "NAME");
    t.match(history, /^deployment\.apps\/NAME \nREVISION {2}CHANGE-CAUSE\n1 +first\n2 +/);
    const [theirs, ours] = await both("rollout", "history", "deployment/NAME", "--revision=2");
    t.match(theirs.stdout, /with revision #2\nPod Template:\n/);
    t.match(ours.stdout, /^deployment\.apps\/NAME with revision #2\nPod Template:\n +Labels:\s+app=NAME\n/);
    for (const line of ["Image:", "app=NAME", "n: 1"]) t.match(ours.stdout, line, theirs.stdout);
    await same(t, "rollout", "history", "deployment/NAME", "--revision=9");
    await same(t, "rollout", "pause", "deployment", "NAME");
    await same(t, "rollout", "pause", "deployment", "NAME");
    await same(t, "rollout", "undo", "deployment", "NAME");
    await same(t, "rollout", "resume", "deployment", "NAME");
    await same(t, "rollout", "resume", "deployment", "NAME");
    await same(t, "rollout", "undo", "deployment/NAME", "--to-revision=99");
    const undone = await same(t, "rollout", "undo", "deployment/NAME");
    t.equal(undone, "deployment.apps/NAME rolled back\n");
    await same(t, "get", "deployment", "NAME", "-o", "jsonpath={.spec.template.metadata.annotations.n}");
    await same(t, "rollout", "undo", "deployment/NAME", "--to-revision=1");
    await same(t, "get", "deployment", "NAME", "-o", "jsonpath={.spec.template.metadata.annotations.n}");
    await sameEnd(t, "rollout", "status", "deployment", "NAME", "--timeout=30s");
    await same(t, "rollout", "restart", "deployment", "NAME");
  });

  t.test("rollouts of a stateful set", async (t) => {
    const file = join(lab.folder, "set.json");
    const set = (name: string, n: string): object => ({
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name },
      spec: {
        replicas: 1,
        serviceName: "none",
        selector: { matchLabels: { s: name } },
        template: {
          metadata: { labels: { s: name }, annotations: { n } },
          spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: "podwire/echo" }] },
        },
      },
    });
    for (const n of ["1", "2"]) {
      const items = ["kube-s", "pod-w-s"].map((name) => set(name, n));
      await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
      await kubectl("apply", "-f", file);
      await sameEnd(t, "rollout", "status", "sts/NAME-s", "--timeout=30s");
    }
    await same(t, "rollout", "history", "sts", "NAME-s");
    const [theirs, ours] = await both("rollout", "undo", "sts", "NAME-s");
    t.equal(ours.stdout, theirs.stdout);
    await same(t, "get", "sts", "NAME-s", "-o", "jsonpath={.spec.template.metadata.annotations.n}");
    t.match(await podwire("rollout", "pause", "sts", "pod-w-s"), {
      status: 1,
      stderr: /pausing is not supported/,
    });
  });

  t.test("run: a pod that stays, and a program with this terminal", async (t) => {
    const shown =
      "jsonpath={.metadata.labels}{.metadata.annotations}{.spec.restartPolicy}{.spec.dnsPolicy}" +
      "{.spec.containers[0]['name','image','command','args','env','ports','imagePullPolicy','securityContext']}";
    const dry = ["run", "NAME", "--image=busybox", "--dry-run=client", "-o", shown];
    for (const more of [
      [],
      ["--port=80", "--env=A=b", "--env=C=d=e", "-l", "app=x,tier=y"],
      ["--restart=Never", "--command", "--", "sh", "-c", "date"],
      ["--restart=OnFailure", "--", "date", "-u"],
      ["--restart=Sometimes"],
      ["--privileged", "--annotations=k=v", "--image-pull-policy=Never"],
      ["--rm"],
      ["-t"],
    ])
      await same(t, ...dry, ...more);
    const exposed = ["run", "NAME-pod", "--image=podwire/echo", "--port=8080", "--expose", "-l", "x=y"];
    for (const { stdout } of await both(...exposed)) // kubectls of two ages tell in two orders
      t.same(stdout.trim().split("\n").sort(), ["pod/NAME-pod created", "service/NAME-pod created"]);
    await same(t, "get", "svc", "NAME-pod", "-o", "jsonpath={.spec.selector}{.spec.ports[0].port}");
    const words = `${PODWIRE} --lab ${lab.name} run try --rm -it --image=busybox -- sh -c 'test -t 0 && stty size; exit 7'`;
    const tty = await run(["script", "-qec", `stty rows 31 cols 97; ${words}`, "/dev/null"]);
    t.match(tty.stdout, /31 97/);
    t.match(tty.stdout, /pod "try" deleted/);
    t.equal(tty.status, 7);
    const piped = await lab.podwire(["run", "try", "--rm", "-i", "--image=busybox", "--", "cat"], {
      input: "hello\n",
    });
    t.match(piped, { status: 0, stdout: 'hello\npod "try" deleted\n' });
    t.match(await podwire("get", "pod", "try"), { status: 1 });
  });

  t.test("run -i without --rm: attached to the pod's own program, which stays", async (t) => {
    const words = ["run", "NAME-once", "-i", "--image=busybox", "--restart=Never", "--"];
    const told = async (run: typeof kubectl, name: string): Promise<Result> =>
      run(...[...words, "sh", "-c", "echo begun; wc -l; exit 5"].map((word) => word.replace("NAME", name)));
    const input = "a\nb\n";
    const [theirs, ours] = await Promise.all([
      told((...args) => run(["kubectl", ...args], { env, input }), "kube"),
      told((...args) => lab.podwire(args, { input }), "pod-w"),
    ]);
    t.match(theirs.stdout, /^begun\n[\s\S]*2\n/m);
    t.match(ours, { status: 5, stdout: /^begun\n *2\n$/, stderr: "" });
    t.match(await lab.output(["logs", "pod-w-once"]), /^begun\n *2\n$/);
    const reader = ["run", "pod-w-reader", "-i", "--image=busybox", "--"];
    const session = await lab.podwire([...reader, "sh", "-c", "read word; echo got $word; sleep 100"], {
      ...{ input: "hello\n", timeoutMs: 4000 }, // it goes on, and who is attached with it
    });
    t.equal(session.stdout, "got hello\n");
    const attach = `(sleep 1; echo again; sleep 1) | timeout 4 ${PODWIRE} --lab ${lab.name} attach pod-w-reader`;
    t.match(await run(["sh", "-c", attach]), { status: 124, stdout: "got hello\n" }, "its input had its end");
    t.match(await podwire("run", "pod-w-once", "-i", "--image=busybox"), {
      status: 1,
      stderr: /AlreadyExists/,
    });
  });

  t.test("api-resources", async (t) => {
    for (const args of [
      ["api-resources", "-o", "name", "--api-group=apps"],
      ["api-resources", "-o", "name", "--namespaced=false", "--verbs=list"],
    ]) {
      const [theirs, ours] = await Promise.all([kubectl(...args), podwire(...args)]);
      const sorted = (text: string): string[] => text.trim().split("\n").sort();
      t.same(sorted(ours.stdout), sorted(theirs.stdout), args.join(" "));
    }
    const [theirs, ours] = await Promise.all([kubectl("api-resources"), podwire("api-resources")]);
    const rows = (text: string): string[] =>
      text
        .trim()
        .split("\n")
        .map((line) => line.split(/\s+/).join(" ").trim())
        .sort();
    t.same(rows(ours.stdout), rows(theirs.stdout));
  });

  t.test("edit and diff", async (t) => {
    const editor = "sed -i s/colour:.*/colour:\\ red/";
    await podwire("create", "configmap", "edited", "--from-literal=colour=blue");
    const said = await lab.podwire(["edit", "cm", "edited"], { env: { KUBE_EDITOR: editor } });
    t.match(said, { status: 0, stdout: "configmap/edited edited\n" });
    t.equal(await lab.output(["get", "cm", "edited", "-o", "jsonpath={.data.colour}"]), "red");
    const again = await lab.podwire(["edit", "cm/edited"], { env: { KUBE_EDITOR: editor } });
    t.match(again, { status: 0, stdout: "", stderr: "Edit cancelled, no changes made.\n" });
    const broken = await lab.podwire(["edit", "cm/edited"], {
      env: { KUBE_EDITOR: "sed -i s/edited/other/" },
    });
    t.match(broken, {
      status: 1,
      stderr: /A copy of your changes has been stored to "([^"]+)"\nerror: edit: /,
    });
    const [, copy] = /stored to "([^"]+)"/.exec(broken.stderr) as RegExpExecArray;
    t.match(await readFile(copy, "utf8"), /name: other/);
    await run(["rm", "-r", join(copy, "..")]);
    const file = join(lab.folder, "cm.yaml");
    const manifest = (colour: string): string =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: edited }\ndata: { colour: ${colour} }\n`;
    await writeFile(file, manifest("red"));
    t.match(await podwire("diff", "-f", file), { status: 0, stdout: "" });
    await writeFile(file, manifest("green"));
    const changed = await podwire("diff", "-f", file);
    t.match(changed, { status: 3, stdout: /^- {2}colour: red\n\+ {2}colour: green$/m });
    t.match(await kubectl("diff", "-f", file), { status: 1 });
    await podwire("create", "secret", "generic", "diffed", "--from-literal=key=first");
    const secret = `apiVersion: v1\nkind: Secret\nmetadata: { name: diffed }\ntype: Opaque\nstringData: { key: second }\n`;
    await writeFile(file, secret);
    const masked = /^- {2}key: ['"]\*{3} \(before\)['"]\n\+ {2}key: ['"]\*{3} \(after\)['"]$/m;
    t.match(await podwire("diff", "-f", file), { status: 3, stdout: masked });
    t.match(await kubectl("diff", "-f", file), { status: 1, stdout: masked });
    const open = await podwire("diff", "-f", file, "--show-secrets");
    t.match(open, { status: 3, stdout: /^- {2}key: Zmlyc3Q=\n\+ {2}key: c2Vjb25k$/m });
    t.equal(
      await lab.output(["get", "cm", "edited", "-o", "jsonpath={.data.colour}"]),
      "red",
      "nothing is applied",
    );
    await until("no pods of try", async () => (await podwire("get", "pod", "try")).status === 1);
  });
});
