// kubectl and what runs in a lab's pods: logs, exec, attach, cp, port-forward, tables. Whichever kubectl there is: newer ones
// ask by WebSockets, those up to 1.30 (Debian's is 1.20) by SPDY.
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { type Result, run, start, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("kubectl", "script", "tar");
const TALK = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done";
const container = (name: string, ...command: string[]): object => ({ name, image: "x", command });
const pod = (name: string, ...containers: object[]): object => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name } },
  spec: { nodeName: "node1", containers },
});
/** With busybox' programs first in its PATH, and a root of its own. */
const boxed = {
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "box" } },
  spec: {
    containers: [
      {
        ...{ name: "c", image: "busybox", command: ["sleep", "100000"] },
        volumeMounts: [{ name: "v", mountPath: "/made/here" }],
      },
    ],
    volumes: [{ name: "v", emptyDir: {} }],
  },
};
const web = { name: "c", image: "podwire/echo", ports: [{ containerPort: 8080 }] };

t.test("kubectl and what runs in pods", { skip }, async (t) => {
  const objects = [
    pod("web", web),
    boxed,
    pod("two", container("talk", "sh", "-c", TALK), container("quiet", "sleep", "100000")),
  ];
  const lab = await TestLab.up("kubectl-streams", { nodes: [{ name: "node1" }], objects });
  t.teardown(() => lab.down());
  // SHELL: script runs its command by it, and shells differ in what becomes a process group of its own.
  const env = { KUBECONFIG: `/run/podwire/labs/${lab.name}/kubeconfig`, HOME: lab.folder, SHELL: "/bin/sh" };
  const kubectl = (words: string[], input = ""): Promise<Result> =>
    run(["kubectl", ...words], { env, input, timeoutMs: 30_000 });
  const shell = (script: string): Promise<Result> => run(["sh", "-c", script], { env, timeoutMs: 30_000 });
  const begin = (words: string[], ready: RegExp) =>
    start(
      ["env", ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...words],
      ready,
      30_000,
    );
  /** What `command` says until it says `wanted`; `line` is typed to it again and again. */
  const typed = async (line: string, command: string, wanted: RegExp): Promise<string> => {
    const types = `while printf '${line}'; do sleep 0.3; done`;
    const talk = await begin(["sh", "-c", `${types} | ${command}`], wanted);
    await talk.stop();
    return talk.output();
  };

  await t.test("exec: output, input, exit status, a program that is not there", async (t) => {
    const said = await kubectl([
      "exec",
      "web",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; hostname -I; exit 7",
    ]);
    t.match(said, { status: 7, stdout: /^out\n10\.244\.1\.\d+ \n$/, stderr: /^err\n/ });
    const text = "0123456789abcdef\n".repeat(50_000);
    t.equal((await kubectl(["exec", "-i", "web", "--", "cat"], text)).stdout, text);
    const none = await kubectl(["exec", "web", "--", "no-such-program"]);
    t.match(none, { status: 1, stderr: /"no-such-program": executable file not found in \$PATH/ });
  });

  await t.test("exec -it: a terminal", async (t) => {
    const inside = "stty size; tty; read line; echo got \\$line; exit 3";
    const script = `(sleep 2; printf 'hello\\r') | script -qec "kubectl exec -it web -- sh -c '${inside}'" /dev/null`;
    const { stdout } = await shell(`${script}; echo status $?`);
    t.match(stdout, /\d+ \d+\r\n\/dev\/pts\/\d+\r\n/);
    t.match(stdout, /got hello\r\n/);
    t.match(stdout, /status 3/);
  });

  await t.test("in a container with busybox' programs and a root of its own", async (t) => {
    t.match(await kubectl(["exec", "box", "--", "sh", "-c", "pwd; ls -d made"]), {
      ...{ status: 0, stdout: "/\nmade\n", stderr: "" },
    });
    const { stdout } = await shell(`script -qec "kubectl exec -it box -- tty" /dev/null; echo status $?`);
    t.match(stdout, /\/dev\/pts\/\d+\r\n/);
    t.match(stdout, /status 0/);
  });

  await t.test("run -i: all that the container says, and what it is told until the input ends", async (t) => {
    const words = ["run", "once", "--rm", "-i", "--image=busybox", "--restart=Never", "--"];
    t.match((await kubectl([...words, "echo", "hi"])).stdout, /^hi$/m);
    const count = await kubectl([...words, "sh", "-c", "echo begun; wc -l"], "a\nb\nc\n");
    t.match(count.stdout, /^begun$[\s\S]*^3$/m);
  });

  await t.test("attach -i and -it: what is typed arrives, as often as somebody attaches", async (t) => {
    const reads = "while read line; do stty size; echo got $line; done 2>/dev/null";
    for (const [name, tty] of [
      ["reader", false],
      ["terminal", true],
    ] as const) {
      const spec = {
        ...container("c", "sh", "-c", `${tty ? "stty size; tty; " : ""}${reads}`),
        stdin: true,
        tty,
      };
      const made = await kubectl(["apply", "-f", "-"], JSON.stringify(pod(name, spec)));
      t.equal(made.status, 0, made.stderr);
      await kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=20s"]);
    }
    for (const word of ["first", "second"])
      t.ok(await typed(`${word}\\n`, "kubectl attach -i reader", new RegExp(`^got ${word}$`, "m")), word);
    // exec: a program in the background of its terminal may not change it, and stands still.
    const attach = "stty cols 91 rows 33; exec kubectl attach -it terminal";
    const said = await typed(
      "typed\\r",
      `script -qec "${attach}" /dev/null`,
      /^33 91\r?$[\s\S]*got typed\r\n/m,
    );
    t.match(said, /^33 91\r?$/m, "its size is that of who attaches");
    t.match((await kubectl(["logs", "terminal"])).stdout, /^\/dev\/pts\/\d+\r\n/m);
  });

  await t.test("logs: the last lines, times, what follows, which container", async (t) => {
    t.match((await kubectl(["logs", "two", "-c", "talk", "--tail=2"])).stdout, /^line \d+\nline \d+\n$/);
    const stamped = await kubectl(["logs", "two", "-c", "talk", "--tail=1", "--timestamps", "--since=1m"]);
    t.match(stamped.stdout, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d+\n$/);
    t.match((await kubectl(["logs", "two", "-c", "talk", "--limit-bytes=6"])).stdout, /^line 0$/);
    t.match((await kubectl(["logs", "two", "-c", "none"])).stderr, /container none is not valid for pod two/);
    const previous = await kubectl(["logs", "web", "--previous"]);
    t.match(previous.stderr, /previous terminated container "c" in pod "web" not found/);
    const follow = ["kubectl", "logs", "-f", "two", "-c", "talk", "--tail=1"];
    const following = await begin(follow, /(line \d+\n){3}/);
    await following.stop();
    const numbers = [...following.output().matchAll(/line (\d+)\n/g)].map(([, number]) => Number(number));
    t.same(
      numbers,
      Array.from(numbers, (_, i) => numbers[0] + i),
      "it goes on, and nothing is left out",
    );
  });

  await t.test("attach: what the container's program says from now on", async (t) => {
    const attached = await begin(["kubectl", "attach", "two", "-c", "talk"], /line \d+/);
    await attached.stop();
    t.notMatch(attached.output(), /^line 0$/m);
  });

  await t.test("cp, there and back", async (t) => {
    const [here, there, back] = ["here", "there", "back"].map((name) => join(lab.folder, name));
    const bytes = Buffer.alloc(300_000, "podwire");
    await writeFile(here, bytes);
    t.equal((await kubectl(["cp", here, `web:${there}`])).status, 0);
    t.equal((await kubectl(["cp", `web:${there}`, back])).status, 0);
    t.ok((await readFile(back)).equals(bytes));
    await rm(there);
  });

  await t.test(
    "port-forward: connections one after another and together, and a port without a program",
    async (t) => {
      const forwarding = await begin(
        ["kubectl", "port-forward", "web", ":8080", ":9"],
        /127\.0\.0\.1:\d+ -> 9/,
      );
      const [, port] = /127\.0\.0\.1:(\d+) -> 8080/.exec(forwarding.output()) ?? [];
      const [, closed] = /127\.0\.0\.1:(\d+) -> 9/.exec(forwarding.output()) ?? [];
      const ask = async (to: string): Promise<string> =>
        (await run(["curl", "-s", "--max-time", "10", `http://127.0.0.1:${to}/`])).stdout;
      t.match(await ask(port), /web/);
      for (const text of await Promise.all(Array.from({ length: 5 }, () => ask(port)))) t.match(text, /web/);
      t.equal(await ask(closed), "");
      const refused = /failed to connect to localhost:9 inside the pod: connection refused/;
      await until(`kubectl to say: ${refused}`, async () => refused.test(forwarding.output()));
      await forwarding.stop();
    },
  );

  await t.test("get: tables of the server", async (t) => {
    const wide = (await kubectl(["get", "pods", "-o", "wide"])).stdout;
    t.match(wide, /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n/);
    t.match(wide, /^two +2\/2 +Running +0 +[\dms]+ +10\.244\.1\.\d+ +node1 +<none> +<none>$/m);
    t.match((await kubectl(["get", "nodes"])).stdout, /^NAME +STATUS +ROLES +AGE +VERSION\nnode1 +Ready/);
    const watching = await begin(["kubectl", "get", "pods", "-w"], /^web /m);
    await kubectl(["label", "pod", "web", "seen=yes"]);
    await kubectl(["delete", "pod", "web", "--grace-period=1"]);
    const ends = /^NAME +READY[\s\S]*^web +1\/1 +Terminating/m;
    await until("the end of web to be seen", async () => ends.test(watching.output()));
    await watching.stop();
  });
});
