// The CNI plug-in as a runtime calls it: containers' namespaces that get their network by it, on a node without a lab.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { cniConfig, makeNode, objects, startWeb } from "../support/own-node.ts";

const PLUGIN = `${ROOT}/build/native/linux-${process.arch}/podwire-cni`;
const MANY = 20;
const RANGES = ["10.244.1.0/24", "fd00:10:244:1::/64"];
const namespaces = new Namespaces("pwt-cni");

/** What the plug-in prints; what an answer has not is undefined. */
interface Answer {
  readonly status: number | null;
  readonly cniVersion: string;
  readonly ips: { readonly address: string }[];
  readonly interfaces: { readonly mac: string; readonly mtu: number }[];
}

t.test("networks of containers", { skip: cannotRun("nsenter", "socat", "curl", "ping") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-cni-"));
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const socket = join(folder, "agent.sock");
  const config = { cniVersion: "1.1.0", name: "podwire", type: "podwire-cni", agent: socket };
  /** One call of the plug-in, for a container that is called as its namespace. No program but it is in its PATH. */
  const cni = async (command: string, name: string, more: object = {}, env = {}): Promise<Answer> => {
    const variables = {
      ...{ PATH: "/nonexistent", CNI_COMMAND: command, CNI_PATH: "/opt/cni/bin", CNI_ARGS: "" },
      ...{ CNI_CONTAINERID: name, CNI_NETNS: namespaces.path(name), CNI_IFNAME: "eth0" },
      ...env,
    };
    const input = JSON.stringify({ ...config, ...more });
    const { status, stdout, stderr } = await run([PLUGIN], { env: variables, input });
    t.equal(stderr, "", `${command} ${name}`);
    if (stdout !== "") t.match(stdout, /^\{.*\}\n$/, "one object, or nothing");
    return { status, ...(stdout === "" ? {} : JSON.parse(stdout)) };
  };
  const plugin = async (env: Record<string, string>, input: string) => {
    const { status, stdout } = await run([PLUGIN], { env, input });
    return { status, ...(stdout === "" ? {} : JSON.parse(stdout)) } as Answer;
  };
  const ping = async (from: string, to: string) =>
    (await run(namespaces.command(from, `ping -c 1 -W 1 ${to}`))).status === 0;
  const reaches = (from: string, to: string) => until(`${from} to reach ${to}`, () => ping(from, to));
  const curl = async (from: string, url: string) =>
    (await run(namespaces.command(from, `curl -sS -g --max-time 3 ${url}`))).stdout;
  const leases = async () => {
    const { leases: list } = JSON.parse(await readFile(join(folder, "leases.json"), "utf8"));
    return list as { containerId: string; ips: string[] }[];
  };

  makeNode(namespaces);
  namespaces.ip("node", "addr add fd00:10:244:1::1/128 dev host0 nodad");
  const items = objects(namespaces).map((object) =>
    JSON.parse(
      JSON.stringify(object).replace('"podCIDRs":["10.244.1.0/24"]', `"podCIDRs":${JSON.stringify(RANGES)}`),
    ),
  );
  await writeFile(join(folder, "objects.json"), JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  await writeFile(join(folder, "agent.yaml"), JSON.stringify(cniConfig(namespaces, folder)));
  let agent: Running | undefined;
  const startAgent = async (...as: string[]) => {
    const command = [...as, PODWIRE, "agent", "--config", join(folder, "agent.yaml")];
    agent = await start(command, /data plane running/);
    running.push(agent);
    await until("STATUS", async () => (await cni("STATUS", "one")).status === 0);
  };
  namespaces.add("one", "two");

  await t.test("without an agent: versions, and errors that say to come back", async (t) => {
    const supportedVersions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
    t.same(await plugin({ CNI_COMMAND: "VERSION" }, ""), {
      status: 0,
      cniVersion: "1.1.0",
      supportedVersions,
    });
    const asked = await plugin({ CNI_COMMAND: "VERSION" }, '{"cniVersion":"0.4.0"}');
    t.same(asked, { status: 0, cniVersion: "0.4.0", supportedVersions });
    for (const command of ["ADD", "DEL", "CHECK", "GC"])
      t.match(await cni(command, "one"), {
        status: 1,
        cniVersion: "1.1.0",
        code: 11,
        msg: /agent\.sock does not answer/,
      });
    t.match(await cni("STATUS", "one"), { status: 1, code: 51 });
    const broken: [string, RegExp][] = [
      ["", /is empty/],
      ["[]", /is no JSON object/],
      ['{"a":[1,{"b":"\\u12x4"}]}', /unknown escape/],
      ['{"a":1} x', /something follows/],
      [`{"a":${"[".repeat(200)}`, /nested too deeply/],
      [`{"a":"${"x".repeat(1 << 20)}"}`, /is longer than 1048576 bytes/],
    ];
    for (const [input, msg] of broken)
      t.match(await plugin({ CNI_COMMAND: "ADD" }, input), { status: 1, code: 6, msg }, input.slice(0, 30));
    t.match(await plugin({ CNI_COMMAND: "ADD" }, '{"agent":"x"}'), { code: 7, msg: /no absolute path/ });
    for (const agent of [`/${"x".repeat(108)}`, '/a"', 5, {}]) {
      const other = await plugin({ CNI_COMMAND: "ADD" }, JSON.stringify({ agent }));
      t.match(
        other,
        { code: 7, msg: /^agent: is no string/ },
        "never another agent than the one that was named",
      );
    }
    const full = await run(["sh", "-c", `exec ${PLUGIN} >/dev/full`], { env: { CNI_COMMAND: "VERSION" } });
    t.equal(full.status, 1, "an answer that nobody gets is none");
    const about = await run(["env", "-u", "CNI_COMMAND", PLUGIN], { input: "" });
    t.match(about, { status: 0, stdout: "", stderr: /CNI versions 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/ });
  });

  await startAgent();
  running.push(await startWeb(namespaces));

  await t.test("ADD: both families, pods, services; CHECK; DEL", async (t) => {
    const one = await cni("ADD", "one");
    t.match(one, {
      ...{ status: 0, cniVersion: "1.1.0" },
      interfaces: [{ name: "eth0", mac: "0a:58:0a:f4:01:04", mtu: 1450, sandbox: namespaces.path("one") }],
      ips: [
        { address: "10.244.1.4/24", gateway: "10.244.1.1", interface: 0 },
        { address: "fd00:10:244:1::2/64", gateway: "fd00:10:244:1::1", interface: 0 },
      ],
    });
    t.match((await cni("ADD", "two", { cniVersion: "0.4.0" })).ips, [{ version: "4" }, { version: "6" }]);
    for (const to of ["10.244.1.5", "fd00:10:244:1::3", "10.244.1.2", "10.244.1.1"]) await reaches("one", to);
    await until("the service", async () =>
      /^pod web saw 10\.244\.1\.4:/.test(await curl("one", "http://10.96.0.80/")),
    );
    const { status: _, ...prevResult } = one;
    t.same(await cni("CHECK", "one", { prevResult }), { status: 0 });
    namespaces.ip("one", "route del default");
    t.match(await cni("CHECK", "one", { prevResult }), {
      status: 1,
      code: 105,
      msg: /no route to 0\.0\.0\.0\/0/,
    });
    namespaces.ip("one", "link del eth0");
    t.match(await cni("CHECK", "one", { prevResult }), { status: 1, code: 105, msg: /eth0/ });
    const ports = async () => (await run([PODWIRE, "--agent", socket, "show", "ports"])).stdout;
    await until("the agent to tell", async () =>
      /eth0 podwire-cni\/one .*no such interface/.test(await ports()),
    );
    t.notOk(namespaces.has("one", "eth0"), "the agent does not make it anew");
    t.match(await cni("ADD", "two"), { status: 1, code: 102 });
    await reaches("two", "10.244.1.2"); // the first goes on
    for (const name of ["one", "one", "two"]) t.same(await cni("DEL", name), { status: 0 });
    t.notOk(namespaces.has("two", "eth0"));
    t.same(await leases(), []);
    t.same(
      (await cni("ADD", "one")).ips[0].address,
      "10.244.1.6/24",
      "not an address that somebody just had",
    );
  });

  await t.test("an agent that is killed: what has a network keeps it", async (t) => {
    await cni("ADD", "two");
    await running.splice(0, 1)[0].stop("SIGKILL");
    // As if that had been while it made an interface, and a program that it had started were still at it.
    namespaces.add("half");
    namespaces.ip("half", "tuntap add dev podwire-new mode tap vnet_hdr");
    const file = join(folder, "leases.json");
    const saved = JSON.parse(await readFile(file, "utf8"));
    const half = {
      containerId: "half",
      netns: namespaces.path("half"),
      ips: ["10.244.1.200"],
      isComplete: false,
    };
    saved.leases.push({ ...saved.leases[0], ...half, mac: "02:00:00:00:00:01" });
    await writeFile(file, JSON.stringify(saved));
    const orphan = await start(["flock", "-s", `${file}.lock`, "sh", "-c", "echo held; sleep 60"], /held/);
    let hasEnded = false;
    const started = startAgent().then(() => t.ok(hasEnded, "it waits for that program"));
    await sleep(700);
    hasEnded = true;
    await orphan.stop();
    await started;
    t.notMatch(namespaces.ip("half", "-br link"), "podwire-new", "what was half made is gone");
    for (const to of ["10.244.1.7", "fd00:10:244:1::5"]) await reaches("one", to);
    t.match(await cni("ADD", "one"), { status: 1, code: 102 });
    namespaces.remove("two");
    t.same(await cni("DEL", "two"), { status: 0 }, "its namespace went first");
    namespaces.add("two");
    t.match(await cni("ADD", "two", {}, { CNI_NETNS: "/run/netns/none" }), { status: 1, code: 4 });
    t.same(
      (await leases()).map(({ containerId }) => containerId),
      ["one"],
    );
  });

  await t.test("what was asked for, and host ports", async (t) => {
    t.match(
      await cni("ADD", "two", {
        ...{ mtu: 1400, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } },
        runtimeConfig: {
          ...{ ips: ["10.244.1.77/24"], mac: "02:00:00:00:00:77" },
          portMappings: [{ hostPort: 8088, containerPort: 8080, protocol: "tcp" }],
        },
      }),
      {
        status: 0,
        interfaces: [{ mac: "02:00:00:00:00:77", mtu: 1400 }],
        ips: [{ address: "10.244.1.77/24" }, {}],
      },
    );
    t.match(namespaces.ip("two", "link show eth0"), / mtu 1400 .*link\/ether 02:00:00:00:00:77 /s);
    const sysctl = await run(namespaces.command("two", "cat /proc/sys/net/ipv4/conf/eth0/arp_filter"));
    t.equal(sysctl.stdout, "1\n");
    const serve = `echo on; exec ${ROOT}/vagrant/pod-http web-two`;
    running.push(await start(["ip", "netns", "exec", namespaces.nameOf("two"), "sh", "-c", serve], /on/));
    for (const from of ["one", "node"])
      await until(`the host port, from ${from}`, async () =>
        /^pod web-two saw /.test(await curl(from, "http://192.168.77.11:8088/")),
      );
    namespaces.add("three");
    const taken = { runtimeConfig: { portMappings: [{ hostPort: 8088, containerPort: 1 }] } };
    t.match(await cni("ADD", "three", taken), { status: 1, code: 103, msg: /podwire-cni\/two has it/ });
    t.match(await cni("ADD", "three", { runtimeConfig: { bandwidth: { ingressRate: 1 } } }), { code: 7 });
    t.same(await cni("DEL", "two"), { status: 0 });
    t.equal(await curl("one", "http://192.168.77.11:8088/"), "", "the port is free again");
  });

  await t.test("many at once, killed meanwhile; GC", async (t) => {
    const names = Array.from({ length: MANY }, (_, i) => `many-${i}`);
    namespaces.add(...names);
    const added = await Promise.all(names.map((name) => cni("ADD", name)));
    t.equal(new Set(added.map(({ ips }) => ips[0].address)).size, MANY, "each its own address");
    await reaches("many-0", added[MANY - 1].ips[0].address.split("/")[0]);
    const valid = { "cni.dev/valid-attachments": [{ containerID: "one", ifname: "eth0" }] };
    t.same(await cni("GC", "", valid, { CNI_CONTAINERID: "", CNI_IFNAME: "", CNI_NETNS: "" }), { status: 0 });
    t.equal((await leases()).length, 1);
    await reaches("one", "10.244.1.2"); // what is valid goes on
    t.notOk(namespaces.has("many-7", "eth0"));
    // A runtime's own dead plug-ins: each is asked for, killed somewhere, and DELed as it would be.
    await Promise.all(
      names.map(async (name, i) => {
        const env = { CNI_COMMAND: "ADD", CNI_CONTAINERID: name, CNI_NETNS: namespaces.path(name) };
        await run([PLUGIN], {
          env: { ...env, CNI_IFNAME: "eth0" },
          input: JSON.stringify(config),
          timeoutMs: 5 + 9 * i,
        });
        t.same(await cni("DEL", name), { status: 0 });
      }),
    );
    t.same(
      (await leases()).map(({ containerId }) => containerId),
      ["one"],
      "no address is left behind",
    );
    for (const name of names) t.notOk(namespaces.has(name, "eth0"), `no device is left in ${name}`);
  });

  await t.test(
    "with the rights of the Debian package's unit: also containers of others, named by a process",
    async (t) => {
      await agent?.stop();
      const unit = await readFile(`${ROOT}/scripts/package/debian/podwire-agent.service`, "utf8");
      const [, rights = ""] = /^CapabilityBoundingSet=(.*)$/m.exec(unit) ?? [];
      const set = `-all,${rights.toLowerCase().replaceAll("cap_", "+").replaceAll(" ", ",")}`;
      await startAgent("setpriv", `--bounding-set=${set}`, "--inh-caps=-all");
      t.match((await run(["grep", "CapEff", `/proc/${agent?.child.pid}/status`])).stdout, /^CapEff:\s0000/);
      const users: Record<string, string> = {
        nobody: "setpriv --reuid 65534 --regid 65534 --clear-groups",
        root: "setpriv --no-new-privs", // with more rights than the agent has
        mapped: "unshare --user --map-root-user",
      };
      for (const [user, as] of Object.entries(users)) {
        const command = ["sh", "-c", `exec unshare --net ${as} sh -c 'echo on; sleep 60'`];
        const container = await start(
          user === "mapped" ? ["sh", "-c", `exec ${as} --net sh -c 'echo on; sleep 60'`] : command,
          /on/,
        );
        running.unshift(container);
        const path = { CNI_NETNS: `/proc/${container.child.pid}/ns/net` };
        t.match(await cni("ADD", `of-${user}`, {}, path), { status: 0, ips: [{}, {}] }, user);
        t.same(await cni("DEL", `of-${user}`, {}, path), { status: 0 });
      }
    },
  );

  await t.test("a Node that is made anew with another range, and one whose range is too small", async (t) => {
    const put = (range: string, uid: string) => {
      const text = JSON.stringify({ apiVersion: "v1", kind: "List", items }).replaceAll(RANGES[0], range);
      const own = `"metadata":{"name":"node1"${uid === "" ? ',"labels":{}' : `,"uid":"${uid}"`}}`;
      return writeFile(join(folder, "objects.json"), text.replace('"metadata":{"name":"node1"}', own));
    };
    const status = async () => (await run([PODWIRE, "--agent", socket, "status"])).stdout;
    const has = (text: RegExp) => until(`${text}`, async () => text.test(await status()));
    const without = items.filter(({ metadata }) => metadata.name !== "node1");
    const list = { apiVersion: "v1", kind: "List", items: without };
    await writeFile(join(folder, "objects.json"), JSON.stringify(list));
    await until("the Node to be gone", async () => (await cni("STATUS", "two")).status !== 0);
    const none = { code: 11, msg: /no Node object "node1"/ };
    t.match(await cni("ADD", "two"), none, "its range may be another node's");
    await reaches("one", "10.244.1.2"); // what runs goes on
    await put("10.244.9.0/31", "b");
    const small = /Node "node1": podCIDR 10\.244\.9\.0\/31 is too small for a pod: give it a \/30 or larger/;
    await has(small);
    t.match(await cni("ADD", "two"), { code: 11, msg: small });
    await reaches("one", "10.244.1.2");
    await put("10.244.9.0/24", "c");
    const stray =
      /outside of the Node's podCIDRs 10\.244\.9\.0\/24, \S+: 1, as container one \(10\.244\.1\.6, .*: delete/;
    await has(stray);
    t.match(agent?.output(), stray, "the log has it, too");
    namespaces.ip("node", "addr replace 10.244.9.1/32 dev host0");
    t.match((await cni("ADD", "two")).ips[0].address, /^10\.244\.9\.\d+\/24$/);
    t.match((await cni("ADD", "three")).ips[0].address, /^10\.244\.9\.\d+\/24$/);
    await reaches("two", (await leases()).find(({ containerId }) => containerId === "three")?.ips[0] ?? "");
    t.same(await cni("DEL", "one"), { status: 0 });
    await until("nothing to be told", async () => !(await status()).includes("outside of the Node's"));
  });
});
