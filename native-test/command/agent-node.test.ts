// A machine with one agent and no lab: every command that reads a node, on the agent that is found at its usual place. The
// machine is a network namespace, and a mount namespace whose /run is its own: labs that others have or had here are none
// of this one, and nobody takes a folder away on which something of it is mounted.
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { type Result, type Running, run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { CONFIG, makeNode, objects, startWeb } from "../support/own-node.ts";

const SOCKET = "/run/podwire/agent.sock";
/** Octets of a capture with more than its headers. */
const WRITTEN = 1000;
const namespaces = new Namespaces("pwt-own");
t.test("a node without a lab", { skip: cannotRun("unshare", "nsenter", "socat", "curl") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-agent-"));
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const config = join(folder, "agent.yaml");
  await writeFile(
    config,
    JSON.stringify({ ...CONFIG, socket: SOCKET, source: { files: [`${folder}/objects.json`] } }),
  );
  await writeFile(
    join(folder, "objects.json"),
    JSON.stringify({ apiVersion: "v1", kind: "List", items: objects(namespaces) }),
  );
  makeNode(namespaces);
  const its = join(folder, "run");
  await mkdir(its);
  const ownRun = `set -e
    mount -t tmpfs none ${its}
    mkdir ${its}/netns ${its}/podwire ${its}/mount
    for each in ${namespaces.path("*")}; do
      touch ${its}/netns/$(basename $each)
      mount --bind $each ${its}/netns/$(basename $each)
    done
    mount --move ${its} /run
    echo ready && exec sleep 600`;
  running.push(await start(["unshare", "--mount", "sh", "-c", ownRun], /ready/));
  const first = `/proc/${running[0].child.pid}`;
  const machine = [
    ...["nsenter", `--mount=${first}/ns/mnt`],
    ...[`--root=${first}/root`, `--wd=${first}/cwd`], // ours, also where that is not the machine's
    `--net=${namespaces.path("node")}`,
  ];
  const env = { PODWIRE_LAB: "", PODWIRE_AGENT: "" };
  const podwire = async (...words: string[]): Promise<Result> => {
    const { status, stdout, stderr } = await run([...machine, PODWIRE, ...words], { env });
    return { status, stdout: Buffer.from(stdout, "latin1").toString(), stderr };
  };
  const curl = ["exec", "shell", "--", "curl", "-sS", "--max-time", "3", "http://10.96.0.80/"];

  await t.test("with neither lab nor agent, one line says what to do", async (t) => {
    for (const words of [
      ["show", "fdb"],
      ["trace"],
      ["capture"],
      ["conntrack", "-L"],
      ["ping", "pod/web"],
      ["get", "po"],
    ]) {
      const { status, stdout, stderr } = await podwire(...words);
      t.equal(status, 1, words.join(" "));
      t.equal(stdout, "");
      t.match(
        stderr,
        /^error: no lab runs here, and no agent at \/run\/podwire\/agent\.sock: podwire lab up makes a lab, .*--agent SOCKET names another\n$/,
      );
    }
    t.equal((await podwire("status")).status, 3);
  });

  running.push(await start([...machine, PODWIRE, "agent", "--config", config], /data plane running/));
  running.push(await startWeb(namespaces));
  await until("an answer of the service", async () => (await podwire(...curl)).status === 0);

  await t.test("status: what is here, and that it is well", async (t) => {
    const { status, stdout } = await podwire("status");
    t.equal(status, 0, stdout);
    t.match(stdout, /^KIND +NAME +STATE +READY +NODES +PODS +PID +SOCKET\n/);
    t.match(stdout, /^agent +node1 +running +yes +2 +3 +\d+ +\/run\/podwire\/agent\.sock$/m);
    t.match(stdout, /^node1 +objects +yes +2 nodes, 3 pods, 1 service, 1 slice$/m);
    t.match(stdout, /^node1 +ports +yes +4 up$/m);
    const data = JSON.parse((await podwire("status", "-o", "json")).stdout);
    t.match(data, {
      kind: "status",
      ready: true,
      labs: [],
      agents: [{ node: "node1", state: "running", ready: true }],
    });
  });

  await t.test("show", async (t) => {
    const services = (await podwire("show", "services")).stdout;
    t.match(
      services,
      /^node1 +default\/web +ClusterIP +10\.96\.0\.80:80 +TCP +dnat +10\.244\.1\.2:8080 +node,outside$/m,
    );
    t.match((await podwire("show", "fdb")).stdout, /^node1 .*0a:58:0a:f4:01:03/m);
    t.match((await podwire("show", "vteps", "--node", "node1")).stdout, /^node1 +192\.168\.77\.12 /m);
    t.match(await podwire("show", "fdb", "--node", "node2"), {
      status: 2,
      stderr: "error: --node node2: the agent of node1 has no such node: use one of node1\n",
    });
  });

  await t.test("exec, in a pod and on the node", async (t) => {
    t.equal((await podwire(...curl)).stdout.replace(/:\d+$/m, ":PORT"), "pod web saw 10.244.1.3:PORT\n");
    t.match(
      (await podwire("exec", "node/node1", "--", "ip", "-br", "addr")).stdout,
      /^host0 .*192\.168\.77\.11\/24/m,
    );
    const far =
      "error: pod default/far: it is on node2: the agent of node1 reaches pods of its own node only\n";
    t.match(await podwire("exec", "far", "--", "true"), { status: 1, stderr: far });
    const other =
      "error: node/node2: the agent of node1 reaches the network of its own node only: there is node1\n";
    t.match(await podwire("exec", "node/node2", "--", "true"), { status: 1, stderr: other });
    const elsewhere = "error: capture: the agent of node1 does not see node2: ask the agent there\n";
    t.match(await podwire("capture", "node/node2"), { status: 1, stderr: elsewhere });
  });

  await t.test("addresses on other devices of the node, as NodeLocal DNS has them", async (t) => {
    const node = (...lines: string[]): void => {
      for (const line of lines) namespaces.ip("node", line);
    };
    // A dummy device where the kernel has these.
    node("link add nodelocaldns type bridge", "link set nodelocaldns up");
    const serve = `echo on; exec socat TCP-LISTEN:53,fork,reuseaddr EXEC:cat`;
    running.push(await start(["ip", "netns", "exec", namespaces.nameOf("node"), "sh", "-c", serve], /on/));
    const asks = async (where: string, address: string): Promise<string> => {
      const script = `echo name | timeout 2 socat -T 0.3 - TCP:${address}:53`;
      return (await run(["ip", "netns", "exec", namespaces.nameOf(where), "sh", "-c", script])).stdout;
    };
    for (const address of ["169.254.20.10", "169.254.20.11"]) {
      node(`addr add ${address}/32 dev nodelocaldns`);
      const isAnswered = async () => (await asks("shell", address)) === "name\n";
      await until(`${address} from a pod`, isAnswered).catch(() => {});
      t.equal(await asks("shell", address), "name\n", `${address} from a pod`);
      t.equal(await asks("node", address), "name\n", `${address} from a program of the node`);
      node(`addr del ${address}/32 dev nodelocaldns`);
    }
    node("link del nodelocaldns");
  });

  await t.test("conntrack", async (t) => {
    const { stdout, stderr } = await podwire("conntrack", "-L", "-p", "tcp", "-s", "10.244.1.3");
    t.match(
      stdout,
      /^tcp +6 \d+ TIME_WAIT src=10\.244\.1\.3 dst=10\.96\.0\.80 sport=\d+ dport=80 .* src=10\.244\.1\.2 dst=10\.244\.1\.3 /,
    );
    t.match(stderr, /^podwire conntrack: \d+ flow entries have been shown\.$/m);
    t.match((await podwire("conntrack", "-C", "--node", "node1")).stdout, /^[1-9]\d*\n$/);
    t.match((await podwire("conntrack", "-S")).stdout, /^cpu=0 +\tfound=0 invalid=\d+ /);
    t.match(await podwire("conntrack", "-D", "-p", "tcp", "--sport", "1"), { status: 1 });
  });

  await t.test("ping, from the node and from a pod", async (t) => {
    for (const [target, from, address] of [
      ["pod/web", [], "10.244.1.2"],
      ["node/node1", ["--from", "pod/shell"], "192.168.77.11"],
      ["10.244.1.3", ["--from", "web"], "10.244.1.3"],
    ] as const) {
      const { status, stdout } = await podwire("ping", target, ...from, "-c", "1");
      t.equal(status, 0, stdout);
      t.match(
        stdout,
        `PING ${target} (${address}) 56(84) bytes of data.\n64 bytes from ${address}: icmp_seq=1 ttl=64`,
      );
    }
    const refusals = {
      "vtep/node3": "error: the agent of node1 has no node node3\n",
      "pod/nope": "error: pod default/nope not found in the agent of node1\n",
      "client/outside": "error: the agent of node1 has no client outside\n",
    };
    for (const [target, stderr] of Object.entries(refusals))
      t.match(await podwire("ping", target, "-c", "1"), { status: 1, stderr });
    t.equal((await podwire("ping", "vtep/node2", "-c", "1", "-W", "0.2")).status, 3, "nobody is there");
  });

  await t.test("explain and rules, of the objects and the configuration that the agent has", async (t) => {
    const story = (await podwire("explain", "--from", "pod/shell", "--to", "svc/web")).stdout.split("\n");
    t.equal(story[0], "pod/shell (10.244.1.3) → svc/web (10.96.0.80) port 80 TCP, seen on node1");
    t.match(
      story[1],
      /^ +PREROUTING nat KUBE-SERVICES .* -d 10\.96\.0\.80 --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G /,
    );
    t.equal(story.at(-2), "DNAT to 10.244.1.2:8080; source kept: ClusterIP of default/web");
    t.match(
      (await podwire("rules")).stdout,
      '-A KUBE-SERVICES -m comment --comment "default/web cluster IP" -m tcp -p tcp -d 10.96.0.80',
    );
    t.equal((await podwire("rules", "--node", "node2")).status, 2);
  });

  await t.test("get and describe, of what the agent follows", async (t) => {
    t.equal((await podwire("get", "pods", "-o", "name")).stdout, "pod/far\npod/shell\npod/web\n");
    t.match((await podwire("get", "all")).stdout, /^service\/web +ClusterIP +10\.96\.0\.80 /m);
    t.match((await podwire("describe", "svc", "web")).stdout, /^Endpoints: +10\.244\.1\.2:8080$/m);
    const none =
      /^error: deployments: the agent of node1 does not follow them: it follows Namespace, .*Pod\n$/;
    t.match(await podwire("get", "deploy"), { status: 1, stderr: none });
  });

  await t.test("trace, capture and conntrack events, while somebody speaks", async (t) => {
    const watch = async (ready: RegExp, ...words: string[]): Promise<string> => {
      const watcher = await start([...machine, PODWIRE, ...words], ready);
      await podwire(...curl);
      for (let i = 0; i < 50 && watcher.child.exitCode === null; i++) await sleep(100);
      t.equal(watcher.child.exitCode, 0, `${words[0]} ends: ${watcher.output()}`);
      return watcher.output();
    };
    const trace = await watch(
      /waiting for packets/,
      "trace",
      "-c",
      "1",
      "--from",
      "pod/shell",
      "--to",
      "svc/web",
    );
    t.match(
      trace,
      /^#1 node1 eth0 default\/shell +parse +IPv4 TCP 10\.244\.1\.3:\d+ → 10\.96\.0\.80:80 SYN, 60 bytes$/m,
    );
    t.match(
      trace,
      /^ +choose-backend +nat KUBE-SERVICES → KUBE-SVC-LOLE4ISW44XBNF3G → KUBE-SEP-\w+ DNAT 10\.96\.0\.80:80 → 10\.244\.1\.2:8080 /m,
    );
    const capture = await watch(
      /listening on eth0 default\/web/,
      "capture",
      "web",
      "-c",
      "1",
      "tcp port 8080",
    );
    t.match(
      capture,
      /eth0 default\/web Out IP 10\.244\.1\.3\.\d+ > 10\.244\.1\.2\.8080: Flags \[S\],.*service default\/web\]$/m,
    );
    const events = await watch(
      /waiting for events of node1/,
      "conntrack",
      "-E",
      "-e",
      "NEW",
      "-c",
      "1",
      "-p",
      "tcp",
    );
    t.match(events, /^ +\[NEW\] tcp +6 \d+ SYN_SENT src=10\.244\.1\.3 dst=10\.96\.0\.80 /m);
  });

  await t.test("a capture, replayed through the pipeline of the agent's objects", async (t) => {
    const file = join(folder, "web.pcapng");
    const capture = await start(
      [...machine, PODWIRE, "capture", "web", "-w", file, "tcp", "port", "8080"],
      /listening on/,
    );
    await podwire(...curl);
    const isWritten = async (): Promise<boolean> => (await stat(file)).size > WRITTEN;
    await until("the capture to have the connection", isWritten, 5000);
    await capture.stop("SIGINT");
    const { status, stdout, stderr } = await podwire("replay", file);
    t.equal(status, 0, stdout + stderr);
    t.match(stdout, /10\.244\.1\.3\.\d+ > 10\.244\.1\.2\.8080: Flags \[S\].*received: as captured/);
  });

  await t.test("what only a lab can do is refused, and the agent is named by --agent too", async (t) => {
    const apply = await podwire("apply", "-f", join(folder, "objects.json"));
    t.match(apply, {
      status: 1,
      stderr:
        /^error: no lab is running \(podwire lab up starts one\), and the agent at .* takes its objects from/,
    });
    t.equal((await podwire("--agent", SOCKET, "show", "ports")).status, 0);
    const both = { status: 2, stderr: /^error: --lab and --agent name two places to ask/ };
    t.match(await podwire("--agent", SOCKET, "--lab", "x", "show", "ports"), both);
    const gone =
      /^error: no agent answers at \/run\/podwire\/none\.sock: systemctl start podwire-agent, or podwire agent/;
    t.match(await podwire("--agent", "/run/podwire/none.sock", "show", "ports"), { status: 1, stderr: gone });
  });

  await t.test("a second agent at this one's socket is refused, and takes nothing from it", async (t) => {
    const second = await podwire("agent", "--config", config);
    t.match(second, {
      status: 1,
      stderr: /^error: an agent answers at \/run\/podwire\/agent\.sock already: end it first/m,
    });
    t.match(await podwire("status"), { status: 0 });
    t.match(await podwire(...curl), { status: 0, stdout: /web/ });
  });

  await t.test("status, when a pod's device is not there and when the agent is gone", async (t) => {
    const all = objects(namespaces).map((object) =>
      JSON.parse(JSON.stringify(object).replaceAll(namespaces.path("shell"), "/run/netns/gone")),
    );
    await writeFile(
      join(folder, "objects.json"),
      JSON.stringify({ apiVersion: "v1", kind: "List", items: all }),
    );
    const isBad = async () => (await podwire("status")).status === 3;
    await until("status to tell", isBad);
    await writeFile(join(folder, "objects.json"), "{");
    await until("status to tell of the file", async () =>
      /^node1 +agent +no +.*objects\.json/m.test((await podwire("status")).stdout),
    );
    t.match(
      (await podwire("status")).stdout,
      /^node1 +ports +no +pod default\/shell: .*\/run\/netns\/gone.*: make its namespace/m,
    );
    await running[1].stop("SIGKILL");
    const { status, stdout } = await podwire("status");
    t.equal(status, 3);
    t.match(stdout, /^agent +- +dead +no +/m);
    t.match(stdout, /^agent at \/run\/podwire\/agent\.sock +answers +no +.*systemctl start podwire-agent/m);
  });

  await t.test(
    "of agents that start in the same instant one runs; one that is killed keeps nobody out",
    async (t) => {
      await writeFile(
        join(folder, "objects.json"),
        JSON.stringify({ apiVersion: "v1", kind: "List", items: objects(namespaces) }),
      );
      for (let round = 0; round < 3; round++) {
        const command = [...machine, PODWIRE, "agent", "--config", config];
        const all = await Promise.allSettled([1, 2, 3].map(() => start(command, /data plane running/)));
        const run = all.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
        const refused = all.flatMap((each) => (each.status === "rejected" ? [`${each.reason}`] : []));
        running.push(...run);
        t.equal(run.length, 1);
        const wanted =
          /ended with status 1: error: an agent answers at \/run\/podwire\/agent\.sock already: end it first/;
        t.match(refused, [wanted, wanted]);
        t.match(await podwire("status"), { status: 0 });
        await run[0]?.stop("SIGKILL");
      }
    },
  );
});
