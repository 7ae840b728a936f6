// The same words through kubectl and through podwire, on one lab: names, values and exit statuses agree. Formats are those
// of docs/cli.md; what kubectl answers with 1 may be 2 here where the words themselves are wrong.
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { type Result, run, start, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("kubectl", "ip", "curl");
const container = { name: "c", image: "podwire/echo", ports: [{ name: "http", containerPort: 8080 }] };
const pod = (name: string, labels: object): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels },
  spec: { containers: [container], nodeName: "node1" },
});
const OBJECTS = [
  pod("one", { app: "web", tier: "front" }),
  pod("two", { app: "web" }),
  pod("three", { app: "api", tier: "back" }),
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  },
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "settings" },
    data: { colour: "blue", "a.b": "<&>" },
  },
  {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "hidden" },
    type: "Opaque",
    data: { key: "dmFsdWU=" },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "front", annotations: { a: "b" } },
    spec: {
      ingressClassName: "x",
      tls: [{ hosts: ["a.b"], secretName: "cert" }],
      rules: [
        {
          host: "a.b",
          http: {
            paths: [
              {
                path: "/",
                pathType: "Prefix",
                backend: { service: { name: "web", port: { name: "http" } } },
              },
              {
                path: "/none",
                pathType: "Exact",
                backend: { service: { name: "none", port: { number: 1 } } },
              },
            ],
          },
        },
      ],
    },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "own" },
    spec: { podSelector: { matchLabels: { app: "api" } }, policyTypes: ["Ingress"], ingress: [] },
  },
];

/** Columns without their gaps; an age may be a second older. */
function words(text: string): string[] {
  const plain = text.replace(/\b\d+s\b|\b\d+m(\d+s)?\b/g, "AGE").trim();
  return plain.split("\n").map((line) =>
    line
      .trim()
      .split(/\s{2,}/)
      .join(" | "),
  );
}

t.test("the same words", { skip }, async (t) => {
  const lab = await TestLab.up("same-words", { nodes: [{ name: "node1" }], objects: OBJECTS });
  t.teardown(() => lab.down());
  const kubeconfig = join(lab.folder, "kubeconfig");
  await writeFile(kubeconfig, await lab.output(["kubeconfig"]));
  const kubectl = (...args: string[]): Promise<Result> =>
    run(["kubectl", ...args], { env: { KUBECONFIG: kubeconfig, HOME: lab.folder } });
  const podwire = (...args: string[]): Promise<Result> => lab.podwire(args);
  const both = async (...args: string[]): Promise<[theirs: Result, ours: Result]> =>
    Promise.all([kubectl(...args), podwire(...args)]);
  await until("three pods", async () => {
    const { stdout } = await kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=20s");
    return stdout.trim().split("\n").length === 3;
  });

  t.test("get: what scripts read is the same, letter for letter", async (t) => {
    const range = '{range .items[*]}{.metadata.name}{"\\t"}{.status.podIP}{"\\n"}{end}';
    for (const args of [
      ["get", "pods", "-o", "name"],
      ["get", "pods,svc", "-o", "name"],
      ["get", "pod/one", "svc/web", "-o", "name"],
      ["get", "pods", "-o", `jsonpath=${range}`],
      ["get", "pod", "one", "-o", "jsonpath={.metadata.labels}"],
      ["get", "pods", "-o", 'jsonpath={.items[?(@.metadata.labels.tier=="back")].metadata.name}'],
      ["get", "pods", "-o", "jsonpath={.items[9].metadata.name}"],
      ["get", "pods", "-o", "jsonpath={.items[0"],
      ["get", "cm", "settings", "-o", "jsonpath={.data.a\\.b}"],
      ["get", "cm", "settings", "-o", "jsonpath={.data}"],
      ["get", "cm", "settings", "-o", "jsonpath-as-json={.data.colour}"],
      ["get", "pods", "--no-headers", "-o", "custom-columns=A:.metadata.name,B:.spec.nodeName"],
      ["get", "pods", "-l", "app in (api),tier", "-o", "name"],
      ["get", "pods", "--field-selector", "metadata.name!=one", "-o", "name"],
      ["get", "pods", "--sort-by", ".metadata.name", "-o", "name"],
      ["get", "pods", "--sort-by", ".metadata.nosuch", "-o", "name"],
      ["get", "pods", "one", "none", "-o", "name"],
      ["get", "pods", "none", "--ignore-not-found"],
      ["get", "nosuchkind"],
    ]) {
      const [theirs, ours] = await both(...args);
      t.equal(ours.stdout, theirs.stdout, args.join(" "));
      t.equal(Math.min(ours.status ?? 9, 1), theirs.status, `status of ${args.join(" ")}: ${ours.stderr}`);
    }
    const { stdout: addresses } = await podwire(
      "get",
      "ep",
      "web",
      "-o",
      "jsonpath={.subsets[*].addresses[*].ip}",
    );
    t.match(addresses, /^10\.244\.\S+ 10\.244\.\S+$/);
    const template = await podwire("get", "pods", "-o", "go-template={{.kind}}");
    t.match(template, { status: 2, stderr: /no Go templates: use -o jsonpath=/ });
  });

  t.test("get: tables have the same words", async (t) => {
    for (const args of [
      ["get", "pods"],
      ["get", "pods", "-o", "wide"],
      ["get", "pods", "--show-labels"],
      ["get", "pods", "-L", "app"],
      ["get", "pods", "--no-headers"],
      ["get", "svc", "web"],
      [
        "get",
        "pods",
        "-o",
        "custom-columns=NAME:.metadata.name,L:.metadata.labels,N:.none,P:.spec.containers[*].ports",
      ],
      ["get", "cm,secret", "-l", "none=there"],
    ]) {
      const [theirs, ours] = await both(...args);
      t.same(words(ours.stdout), words(theirs.stdout), args.join(" "));
      t.equal(ours.status, theirs.status, args.join(" "));
    }
  });

  t.test("describe: kubectl's lines, and then the data plane's", async (t) => {
    for (const [kind, name] of [
      ["cm", "settings"],
      ["secret", "hidden"],
      ["ingress", "front"],
      ["svc", "web"],
      ["sa", "default"],
      ["netpol", "own"],
    ]) {
      const [theirs, ours] = await both("describe", kind, name);
      const own = words(ours.stdout.replace(/Data Plane:.*$/s, ""));
      // kubectl of another version has other lines; none of ours is made up.
      const known = new Set(words(theirs.stdout));
      const odd = own.filter(
        (line) =>
          line !== "" && !known.has(line) && !/^(IP Famil|Internal Traffic|Endpoints:|BinaryData)/.test(line),
      );
      if (kind !== "ingress") t.same(odd, [], `${kind}: ${theirs.stdout}`);
      else
        t.match(
          ours.stdout,
          /a\.b +\n +\/ +web:http \(10\.244\.\d+\.\d+:8080,10\.244\.\d+\.\d+:8080\)\n +\/none +none:1 \(<error: /,
        );
    }
    const { stdout: ip } = await kubectl("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}");
    for (let i = 0; i < 3; i++) await podwire("exec", "three", "--", "curl", "-s", `http://${ip}/`);
    const service = await lab.output(["describe", "svc", "web"]);
    t.match(
      service,
      new RegExp(`${ip}:80/TCP +ClusterIP +dnat +10\\.244\\.\\S+ .*KUBE-SVC-[A-Z2-7]{16} +node1\n`),
    );
    t.match(service, /Connections: +[1-9]\d* \(node1 \d+\)\n/);
    const three = await lab.output(["describe", "pod", "three"]);
    t.match(three, /Device: +\S+ of node1, MAC [0-9a-f:]{17}, MTU \d+, up\n +Sent: +[1-9]\d* packets/);
    t.match(three, /Policies: +default\/own\n/);
    t.match(three, /default\/own +ingress +no rule matches +deny +\d+ +\d+\n/);
    t.match(await lab.output(["describe", "pod", "one"]), /Policies: +<none>: nothing forbids it anything\n/);
    const node = await lab.output(["describe", "node", "node1"]);
    t.match(node, /Data Plane:\n +Ports: +\d+, 3 of them of pods\n +Connections: +\d+ of at most \d+\n/);
    t.match(
      await lab.output(["describe", "netpol", "own"]),
      /node1 +ingress +no rule matches +deny +\d+ +\d+ +/,
    );
    t.notMatch(await lab.output(["describe", "pod", "one", "--no-plane"]), /Data Plane/);
  });

  t.test(
    "port-forward: a pod, a service's port, a name; until it is ended, or the pod is gone",
    async (t) => {
      const say = (port: number): Promise<string> =>
        new Promise((resolve, reject) => {
          const asked = request({ host: "127.0.0.1", port, path: "/", agent: false }, (response) => {
            let text = "";
            response
              .setEncoding("utf8")
              .on("data", (chunk) => (text += chunk))
              .on("end", () => resolve(text));
          });
          asked.on("error", reject).end();
        });
      const ready = /Forwarding from 127\.0\.0\.1:(\d+) -> 8080/;
      const forwarding = await start(
        [PODWIRE, "--lab", lab.name, "port-forward", "svc/web", ":80", ":http"],
        /127\.0\.0\.1.*127\.0\.0\.1/s,
      );
      const ports = [...forwarding.output().matchAll(new RegExp(ready, "g"))].map(([, port]) => Number(port));
      t.equal(ports.length, 2);
      for (const port of ports) t.match(await say(port), /"pod":"(one|two)"/);
      const handled = /Handling connection for \d+\n/;
      await until("it to say what it handles", async () => handled.test(forwarding.output()));
      await forwarding.stop("SIGINT");
      t.equal(forwarding.child.exitCode, 0);
      const second = await start([PODWIRE, "--lab", lab.name, "port-forward", "two", ":http"], ready);
      const [, port] = ready.exec(second.output()) as RegExpExecArray;
      t.match(await say(Number(port)), /"pod":"two"/);
      await podwire("delete", "pod", "two", "--now");
      await say(Number(port)).catch(() => {});
      await second.ended;
      t.equal(second.child.exitCode, 1);
      t.match(second.output(), /error: lost connection to pod two\n/);
      for (const [args, status] of [
        [["none", "80"], 1],
        [["svc/web", "81"], 1],
        [["one", "x:y:z"], 2],
        [["one", "80", "--address", "nowhere"], 2],
      ] as const) {
        const said = await podwire("port-forward", ...args);
        t.equal(said.status, status, `${args}: ${said.stderr}`);
        t.match(said.stderr, /^error: [^\n]+\n$/);
      }
    },
  );

  t.test("cp: there and back, files and directories, under another name", async (t) => {
    const at = (name: string): string => join(lab.folder, name);
    await run(["mkdir", "-p", at("tree/inner")]);
    await writeFile(at("tree/inner/a b"), "text\n");
    await writeFile(at("tree/odd.|&name"), "odd\n");
    const inside = `/tmp/podwire-same-words-${process.pid}`;
    t.teardown(() => run(["rm", "-rf", inside, `${inside}-file`]));
    for (const args of [
      [at("tree"), `one:${inside}`],
      [at("tree/odd.|&name"), `default/one:${inside}-file`],
      [`one:${inside}`, at("back")],
      [`one:${inside}-file`, lab.folder],
    ]) {
      const { status, stderr } = await podwire("cp", ...args);
      t.same([status, stderr], [0, ""], args.join(" "));
    }
    t.equal(await readFile(at("back/inner/a b"), "utf8"), "text\n");
    t.equal(await readFile(at("back/odd.|&name"), "utf8"), "odd\n");
    t.equal(await readFile(at(`${inside.split("/").at(-1)}-file`), "utf8"), "odd\n");
    for (const [from, to, why] of [
      ["one:/none/there", at("x"), /\/none\/there: no such file/],
      [at("none"), "one:/tmp/x", /no such file/],
      ["nobody:/tmp/x", at("x"), /nobody/],
      [at("tree"), "nobody:/tmp/x", /nobody/],
    ] as const) {
      const said = await podwire("cp", from, to);
      t.equal(said.status, 1, `${from} ${to}`);
      t.match(said.stderr, why);
      t.match(said.stderr, /^error: cp: [^\n]+\n$/, "one line");
    }
    t.match(await podwire("cp", "a", "b"), { status: 2 });
  });
});
