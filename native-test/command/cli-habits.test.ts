// kubectl's habits on the command line, in one lab: get, logs -f, scale, exec -it.
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { run, start, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("bash", "script", "ip");
const NODES = [{ name: "node1", agent: "kernel" as const }];
const PRINTER = "n=0; while sleep 0.2; do n=$((n+1)); echo line $n; done";

const template = (command: string[]): object => ({
  metadata: { labels: { app: "talk" } },
  spec: { containers: [{ name: "main", image: "shell", command }], terminationGracePeriodSeconds: 1 },
});
const OBJECTS = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "talk" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "talk" } },
      template: template(["bash", "-c", PRINTER]),
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "talk" },
    spec: { selector: { app: "talk" }, ports: [{ port: 80 }] },
  },
];

t.test("kubectl's habits", { skip }, async (t) => {
  const lab = await TestLab.up("habits", { nodes: NODES, objects: OBJECTS });
  t.teardown(() => lab.down());
  const [name] = (await lab.output(["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"])).split(" ");

  t.test("get", async (t) => {
    t.match(name, /^talk-/);
    t.equal(
      await lab.output(["get", `pod/${name}`, "svc/talk", "-o", "name"]),
      `pod/${name}\nservice/talk\n`,
    );
    const all = await lab.output(["get", "all"]);
    t.match(
      all,
      new RegExp(
        `^NAME .*\\npod/${name} .*\\n\\n` +
          "NAME .*\\nservice/kubernetes .*\\nservice/talk .*\\n\\nNAME .*\\ndeployment.apps/talk ",
      ),
    );
    t.equal(
      await lab.output([
        "get",
        "pods",
        "-l",
        "app in (talk)",
        "--no-headers",
        "-o",
        "custom-columns=A:.spec.nodeName",
      ]),
      "node1\n",
    );
    t.match(await lab.output(["get", "pods", "--show-labels"]), /LABELS\n.*app=talk,/);
    const missing = await lab.podwire(["get", "pod", "nosuch"]);
    t.same([missing.status, missing.stderr], [1, 'Error from server (NotFound): pods "nosuch" not found\n']);
    for (const [args, status, stdout] of [
      [["nosuch"], 1, ""],
      [["nosuch", "--ignore-not-found"], 0, ""],
      [["nosuch", name], 1, `${name} `],
    ] as const) {
      const said = await lab.podwire(["get", "pod", ...args, "-o", "jsonpath={..metadata.name} "]);
      t.same([said.status, said.stdout.trim()], [status, stdout.trim()], args.join(" "));
    }
    const none = await lab.podwire(["get", "pods", "-l", "app=none"]);
    t.same([none.status, none.stdout, none.stderr], [0, "", "No resources found in default namespace.\n"]);
  });

  t.test("exec: a terminal, standard input, the program's status", async (t) => {
    const command = `${PODWIRE} --lab ${lab.name} exec -it ${name} -- sh -c 'test -t 0 && test -t 1 && stty size; exit 7'`;
    const tty = await run(["script", "-qec", `stty rows 31 cols 97; ${command}`, "/dev/null"]);
    t.match(tty.stdout, /31 97/, "the terminal's size");
    t.equal(tty.status, 7);
    const piped = await run([
      "bash",
      "-c",
      `echo hello | ${PODWIRE} --lab ${lab.name} exec -i deploy/talk -- cat`,
    ]);
    t.equal(piped.stdout, "hello\n");
    const noTty = await run([
      "bash",
      "-c",
      `echo hello | ${PODWIRE} --lab ${lab.name} exec -it svc/talk -- cat`,
    ]);
    t.match(noTty, { stdout: "hello\n", stderr: /^Unable to use a TTY/ });
  });

  t.test("scale, seen by get -w", async (t) => {
    const watch = await start([PODWIRE, "--lab", lab.name, "get", "pods", "-w"], /talk-/);
    t.equal(await lab.output(["scale", "deploy/talk", "--replicas=3"]), "deployment.apps/talk scaled\n");
    await until(
      "three pods",
      async () => (await lab.output(["get", "pods", "--no-headers"])).trim().split("\n").length === 3,
    );
    t.equal(await lab.output(["get", "deploy", "talk", "-o", "jsonpath={.spec.replicas}"]), "3");
    await until("three watched", async () => new Set(watch.output().match(/^talk-\S+/gm)).size === 3);
    await watch.stop();
    const wrong = await lab.podwire(["scale", "deploy", "talk", "--replicas=1", "--current-replicas=2"]);
    t.match(wrong, {
      status: 1,
      stderr: "error: scale deployment/talk: expected replicas to be 2, it has 3\n",
    });
    t.equal((await lab.podwire(["scale", "svc/talk", "--replicas=1"])).status, 1);
  });

  t.test("events, and describe with those of the pod", async (t) => {
    const events = await lab.output(["get", "events", "--field-selector", `involvedObject.name=${name}`]);
    t.match(events, /^LAST SEEN {3}TYPE {5}REASON {6}OBJECT {17,}MESSAGE\n/);
    for (const [reason, message] of [
      ["Scheduled", `Successfully assigned default/${name} to node1`],
      ["Created", "Created container: main"],
      ["Started", "Started container main"],
    ])
      t.match(events, new RegExp(`Normal +${reason} +pod/${name} +${message}`));
    const told = await lab.output(["describe", "pod", name]);
    t.match(
      told,
      new RegExp(
        `^Name: +${name}\\nNamespace: +default\\nService Account: +default\\nNode: +node1/192[.0-9]+\\nStart Time: `,
      ),
    );
    t.match(told, /\n {2}Type {4}Reason {5}Age +From {15}Message\n {2}-{4} {4}-{6} /);
    t.match(
      told,
      / Scheduled [^\n]*\n(?:[^\n]*\n)* {2}Normal {2}Created [^\n]*\n {2}Normal {2}Started /,
      "in order",
    );
    t.match(told, /\n {2}Normal {2}Started {4}\S+ +kubelet +Started container main\n/);
    const deployment = await lab.output(["describe", "deploy/talk"]);
    t.match(deployment, /\nNewReplicaSet: +talk-\S+ \(\d\/\d replicas created\)\nEvents:\n/);
    t.match(deployment, /ScalingReplicaSet .* Scaled up replica set talk-\S+ from 0 to 1\n/);
    const node = await lab.output(["describe", "node", "node1"]);
    t.match(node, /NodeReady +\S+ +kubelet +Node node1 status is now: NodeReady/);
    t.match(node, /\n {2}Ready +True +([A-Z]\S+ \d+ \S+ 2\d{3} \S+ \+0000) +\1 +KubeletReady/);
  });

  t.test("dry runs, create, delete", async (t) => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "x", labels: { a: "b" } },
      spec: { ports: [{ port: 1 }] },
    };
    const input = { input: JSON.stringify(service) };
    t.equal(await lab.output(["apply", "--dry-run", "-f", "-"], input), "service/x created (dry run)\n");
    t.match(
      await lab.output(["apply", "--dry-run", "-o", "yaml", "-f", "-"], input),
      /^apiVersion: v1\nkind: Service\nmetadata:\n(?: .*\n)+spec:\n(?: .*\n)*? {2}clusterIP: 10\./,
    );
    t.equal(
      await lab.output(["create", "--dry-run=server", "-f", "-"], input),
      "service/x created (server dry run)\n",
    );
    t.equal((await lab.podwire(["get", "svc", "x"])).status, 1);
    t.equal(await lab.output(["create", "-f", "-"], input), "service/x created\n");
    t.equal(await lab.output(["get", "-f", "-", "-o", "name"], input), "service/x\n");
    t.match(await lab.podwire(["create", "-f", "-"], input), {
      status: 1,
      stderr: 'Error from server (AlreadyExists): error when creating "STDIN": services "x" already exists\n',
    });
    t.equal(
      await lab.output(["delete", "svc", "-l", "a=b", "--dry-run=client"]),
      'service "x" deleted (dry run)\n',
    );
    t.match(await lab.podwire(["delete", "svc", "x", "y"]), {
      status: 1,
      stdout: 'service "x" deleted\n',
      stderr: 'Error from server (NotFound): services "y" not found\n',
    });
    t.match(await lab.podwire(["delete", "svc", "x", "--ignore-not-found=true"]), { status: 0, stdout: "" });
  });

  t.test("custom resources, and the API's other kinds", async (t) => {
    const size = { name: "Size", type: "integer", jsonPath: ".spec.size" };
    const spec = { type: "object", properties: { size: { type: "integer", minimum: 1 } } };
    const version = {
      ...{ name: "v1", served: true, storage: true, additionalPrinterColumns: [size] },
      schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
    };
    const definition = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "widgets.example.com" },
      spec: {
        ...{ group: "example.com", scope: "Namespaced", versions: [version] },
        names: { kind: "Widget", plural: "widgets", singular: "widget", shortNames: ["wd"] },
      },
    };
    const widget = (size: number) => ({
      ...{ apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "a" }, spec: { size } },
    });
    const all = (...items: object[]) => ({
      input: JSON.stringify({ apiVersion: "v1", kind: "List", items }),
    });
    t.match(await lab.podwire(["apply", "-f", "-"], all(widget(0), definition)), {
      status: 1,
      stderr: /^error: -:1:\d+: document 1: Widget "a": spec.size: Invalid value: 0: /,
    });
    t.equal((await lab.podwire(["get", "crd", "widgets.example.com"])).status, 1, "nothing of it");
    t.equal(
      await lab.output(["apply", "-f", "-"], all(widget(3), definition)),
      "widget.example.com/a created\ncustomresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n",
    );
    t.match(await lab.output(["get", "wd"]), /^NAME {3}SIZE\na {6}3\n$/);
    const watch = await start([PODWIRE, "--lab", lab.name, "get", "wd", "-w"], /^a /m);
    t.equal(await lab.output(["apply", "-f", "-"], all(widget(4))), "widget.example.com/a configured\n");
    await until("the change", async () => /^a {6}4$/m.test(watch.output()));
    await watch.stop();
    t.match(await lab.output(["describe", "widgets.example.com", "a"]), /\nKind: +Widget\n/);
    t.equal(await lab.output(["annotate", "wd/a", "x=y"]), "widget.example.com/a annotated\n");
    t.equal(await lab.output(["delete", "-f", "-"], all(widget(4))), 'widget.example.com "a" deleted\n');
    const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "l" }, spec: {} };
    t.equal(await lab.output(["apply", "-f", "-"], all(lease)), "lease.coordination.k8s.io/l created\n");
    t.match(await lab.output(["get", "leases"]), /^NAME {3}HOLDER {3}AGE\nl /);
    t.equal(
      await lab
        .output(["delete", "lease/l", "crd/widgets.example.com"])
        .then((text) => text.split("\n").length),
      3,
    );
    t.match(await lab.podwire(["get", "wd"]), {
      status: 1,
      stderr: 'error: the server doesn\'t have a resource type "wd"\n',
    });
  });

  t.test("label, wait, rollout, logs with times", async (t) => {
    await lab.output(["wait", "deploy/talk", "--for=condition=Available", "--timeout=30s"]);
    t.equal(
      await lab.output(["wait", `pod/${name}`, "--for=condition=Ready"]),
      `pod/${name} condition met\n`,
    );
    t.match(await lab.podwire(["wait", `pod/${name}`, "--for=delete", "--timeout=300ms"]), {
      status: 1,
      stdout: "",
      stderr: `error: timed out waiting for the condition on pods/${name}\n`,
    });
    t.equal(await lab.output(["label", "svc", "talk", "a=b"]), "service/talk labeled\n");
    t.match(await lab.podwire(["label", "svc", "talk", "a=c"]), {
      status: 1,
      stderr: "error: 'a' already has a value (b), and --overwrite is false\n",
    });
    t.equal(await lab.output(["label", "svc/talk", "a-"]), "service/talk unlabeled\n");
    t.equal(await lab.output(["annotate", "svc/talk", "x=y z"]), "service/talk annotated\n");
    const stamped = await lab.output(["logs", name, "--timestamps", "--since=1s"]);
    t.match(stamped, /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z line \d+\n){3,8}$/);
    const age = Date.now() - Date.parse(stamped.slice(0, 24));
    t.ok(age > 0 && age < 3000, `${age} ms ago`);
    t.match(await lab.podwire(["logs", name, "-p"]), {
      status: 1,
      stderr: `Error from server (BadRequest): previous terminated container "main" in pod "${name}" not found\n`,
    });
    await lab.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "again" },
      spec: {
        containers: [
          { name: "main", image: "shell", command: ["bash", "-c", "echo run $BASHPID; sleep 0.5"] },
        ],
      },
    });
    await until("a second start", async () => (await lab.podwire(["logs", "again", "-p"])).status === 0);
    const [last, before] = [await lab.output(["logs", "again"]), await lab.output(["logs", "again", "-p"])];
    t.match([last, before], [/^run \d+\n$/, /^run \d+\n$/]);
    t.not(last, before);
    await lab.output(["delete", "pod", "again", "--now"]);
  });

  t.test("logs -f ends with its pod", async (t) => {
    t.match(await lab.output(["logs", name, "--tail", "2"]), /^line \d+\nline \d+\n$/);
    t.match(
      await lab.output(["logs", "-l", "app=talk", "--prefix"]),
      new RegExp(`^\\[pod/${name}/main\\] line \\d+$`, "m"),
    );
    const following = lab.podwire(["logs", "-f", name, "--tail", "0"], { timeoutMs: 30_000 });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await lab.output(["delete", "pod", name]);
    const { status, stdout } = await following;
    t.equal(status, 0);
    t.match(stdout, /^line \d+\nline \d+\n/);
  });

  t.test("rollout", async (t) => {
    const pods = () => lab.output(["get", "pods", "-o", "name"]);
    const before = await pods();
    t.match(
      await lab.output(["rollout", "status", "deploy"]),
      /deployment "talk" successfully/,
      "a kind alone",
    );
    t.equal(await lab.output(["rollout", "restart", "deploy/talk"]), "deployment.apps/talk restarted\n");
    t.match(
      await lab.output(["rollout", "status", "deploy/talk", "--timeout=40s"], { timeoutMs: 50_000 }),
      /^(?:Waiting for deployment "talk" rollout to finish: .*\n)*deployment "talk" successfully rolled out\n$/,
    );
    t.not(await pods(), before);
  });
});
