// podman with its CNI backend, and the plug-in: pods of several containers on a node that is fed by files.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Result, run, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { noCluster, PROGRAMS } from "./support/control-plane.ts";
import { makeImage } from "./support/image.ts";
import { RuntimeNode } from "./support/runtime-node.ts";

const IMAGE = "localhost/pod:test";
const HOST_PORT = 8089;
const namespaces = new Namespaces("pwt-podman");

t.test("podman's pods", { skip: noCluster("podman", "conmon", "runc", "curl", "ping") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-podman-"));
  const own: { node?: RuntimeNode } = {};
  const podman = async (...words: string[]): Promise<Result> => {
    const at = ["--root", `${folder}/root`, "--runroot", `${folder}/run`, "--tmpdir", `${folder}/tmp`];
    const how = [
      "--storage-driver",
      "vfs",
      "--cgroup-manager",
      "cgroupfs",
      "--events-backend",
      "file",
      "--runtime",
      "runc",
    ];
    const command = ["nsenter", `--net=${namespaces.path("node")}`, "podman", ...at, ...how, ...words];
    return await run(command, { env: { CONTAINERS_CONF: join(folder, "containers.conf") } });
  };
  const done = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await podman(...words);
    if (status !== 0) throw new Error(`podman ${words.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  t.teardown(async () => {
    await podman("pod", "rm", "-f", "-a", "-t", "0");
    await own.node?.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const node = await RuntimeNode.start(namespaces, folder);
  own.node = node;
  const plugins = [`${ROOT}/build/native/linux-${process.arch}`, PROGRAMS];
  await mkdir(join(folder, "net.d"));
  await writeFile(join(folder, "net.d/10-podwire.conflist"), JSON.stringify(node.network));
  await writeFile(
    join(folder, "containers.conf"),
    `[containers]
default_ulimits = []
[network]
network_backend = "cni"
cni_plugin_dirs = ${JSON.stringify(plugins)}
network_config_dir = "${folder}/net.d"
`,
  );
  await done(
    "load",
    "-i",
    makeImage(folder, IMAGE, [{ path: "pod", from: join(PROGRAMS, "pod") }], ["/pod"]),
  );

  /** Makes the pod with a container that serves, and tells its addresses. */
  const makePod = async (name: string, ...words: string[]): Promise<readonly string[]> => {
    const infra = ["--infra-image", IMAGE, "--infra-command", "/pod"];
    await done("pod", "create", "--name", name, "--network", "podwire", ...infra, ...words);
    await done(
      "run",
      "-d",
      "--pull",
      "never",
      "--pod",
      name,
      "--name",
      `${name}-main`,
      IMAGE,
      "serve",
      "8080",
    );
    const leases = await node.leases();
    return leases.at(-1)?.ips ?? [];
  };
  const get = (pod: string, url: string): Promise<string> =>
    done("run", "--rm", "--pull", "never", "--pod", pod, IMAGE, "get", url);
  const curl = async (url: string): Promise<string> =>
    (await run(namespaces.command("node", `curl -sS -g --max-time 2 ${url}`))).stdout;

  await t.test("two pods reach each other and are reached by a port of the host", async (t) => {
    const one = await makePod("one", "-p", `${HOST_PORT}:8080`, "--hostname", "one");
    const two = await makePod("two", "--hostname", "two");
    t.equal(one.length, 2, "both families");
    await until("the pod to serve", async () => /^one saw /.test(await curl(`http://${one[0]}:8080/`)));
    t.match(await get("two", `http://${one[0]}:8080/`), `one saw ${two[0]}:`, "from its own address");
    t.match(await get("one", `http://[${two[1]}]:8080/`), `two saw [${one[1]}]:`);
    t.match(await curl(`http://192.168.77.11:${HOST_PORT}/`), /^one saw /, "the port of the host");
    const sandbox = (await node.leases())[1].netns;
    const { status, stdout } = await run([
      "nsenter",
      `--net=${sandbox}`,
      "ping",
      "-c",
      "2",
      "-W",
      "2",
      one[0],
    ]);
    t.equal(status, 0, stdout);
    const [{ Containers: containers }] = [JSON.parse(await done("pod", "inspect", "one"))];
    const infra = (containers as { Name: string; Id: string }[]).find(({ Name }) => /-infra$/.test(Name));
    const [{ NetworkSettings: told }] = JSON.parse(await done("inspect", infra?.Id ?? ""));
    t.equal(told.Networks.podwire.IPAddress, one[0], "podman tells its address");
  });

  await t.test("an address that was asked for, and a port that is taken", async (t) => {
    t.equal((await makePod("fixed", "--ip", "10.244.1.77"))[0], "10.244.1.77");
    await t.rejects(
      makePod("late", "-p", `${HOST_PORT}:8080`),
      /hostPort 8089\/TCP: \S+ has it/,
      "it is another's",
    );
  });

  await t.test("pods that are removed leave nothing", async (t) => {
    await done("pod", "rm", "-f", "-a", "-t", "1");
    t.same(await node.leases(), []);
    t.notOk((await node.show("ports")).some(({ kind }) => kind === "pod"));
    t.equal(await curl(`http://192.168.77.11:${HOST_PORT}/`), "", "the port of the host is free");
  });
});
