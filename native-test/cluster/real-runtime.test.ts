// Real runtimes and the plug-in: containerd with runc by crictl, and cnitool. Pods with real sandboxes on a node that is
// fed by files.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { run, sleep, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { Containerd, POD_IMAGE } from "./support/containerd.ts";
import { noCluster, PROGRAMS } from "./support/control-plane.ts";
import { RuntimeNode } from "./support/runtime-node.ts";

const PLUGINS = `${ROOT}/build/native/linux-${process.arch}`;
const POD_COUNT = Number(process.env.PODWIRE_TEST_PODS ?? 40);
const ROUNDS = 3;
const namespaces = new Namespaces("pwt-runtime");

t.test("pods with real sandboxes", { skip: noCluster("containerd", "runc", "ctr", "curl") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-runtime-"));
  let node: RuntimeNode | undefined;
  let containerd: Containerd | undefined;
  t.teardown(async () => {
    await containerd?.stop();
    await node?.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const own = await RuntimeNode.start(namespaces, folder);
  node = own;
  const { network } = own;
  const runtime = await Containerd.start({
    folder,
    inside: ["nsenter", `--net=${namespaces.path("node")}`],
  });
  containerd = runtime;
  await runtime.setNetwork(network);
  /** Makes the pod's sandbox; undefined: it was not made. */
  const makePod = async (name: string, more: object = {}, cancelMs?: number): Promise<string | undefined> => {
    const file = join(folder, `${name}.json`);
    const metadata = { name, namespace: "default", uid: `uid-${name}`, attempt: 1 };
    await writeFile(file, JSON.stringify({ metadata, log_directory: folder, linux: {}, ...more }));
    const words = cancelMs === undefined ? [] : ["--cancel-timeout", `${cancelMs}ms`];
    const { status, stdout } = await runtime.crictl("runp", ...words, file);
    return status === 0 ? stdout.trim() : undefined;
  };
  const pods = async (): Promise<string[]> =>
    (await runtime.crictl("pods", "-q")).stdout.split("\n").filter((line) => line !== "");
  const removePods = async (): Promise<void> => {
    for (const pod of await pods()) await runtime.crictl("rmp", "-f", pod);
  };
  const serve = async (sandbox: string, name: string): Promise<void> => {
    const container = join(folder, `${name}-main.json`);
    const image = { image: POD_IMAGE };
    await writeFile(
      container,
      JSON.stringify({ metadata: { name: "main" }, image, args: ["serve", "8080"], linux: {} }),
    );
    const made = await runtime.crictl(
      "create",
      "--no-pull",
      sandbox,
      container,
      join(folder, `${name}.json`),
    );
    t.equal((await runtime.crictl("start", made.stdout.trim())).status, 0, made.stderr);
  };
  const curl = async (url: string): Promise<string> =>
    (await run(namespaces.command("node", `curl -sS -g --max-time 2 ${url}`))).stdout;

  await t.test(
    "a sandbox gets its TAP, both families, a host port, and the address it asks for",
    async (t) => {
      const mappings = { port_mappings: [{ protocol: 0, container_port: 8080, host_port: 8088 }] };
      const bandwidth = { "kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "5M" };
      const web = await makePod("web", { hostname: "web", annotations: bandwidth, ...mappings });
      t.ok(web, /Failed to.*|failed to setup.*/.exec(runtime.output())?.[0] ?? "");
      await serve(web as string, "web");
      const [lease] = await own.leases();
      t.match(lease.pod, { namespace: "default", name: "web" });
      t.equal(lease.ips.length, 2);
      const link = await run(["nsenter", `--net=${lease.netns}`, "ip", "-d", "link", "show", "eth0"]);
      t.match(link.stdout, /tun type tap/);
      const info = JSON.parse((await runtime.crictl("inspectp", web as string)).stdout);
      t.equal(info.status.network.ip, lease.ips[0], "containerd tells its address");
      const answers = (url: string): Promise<void> =>
        until(url, async () => /^web saw /.test(await curl(url)));
      for (const at of [`${lease.ips[0]}:8080`, `[${lease.ips[1]}]:8080`, "192.168.77.11:8088"])
        await answers(`http://${at}/`);
      const port = (await own.show("ports")).find(({ pod }) => pod === "default/web");
      t.match(port, { ingressBandwidth: 10_000_000, egressBandwidth: 5_000_000 });
      t.equal(await makePod("taken", mappings), undefined, "the host port is another's");
      await removePods();
      t.same(await own.leases(), []);
      t.notOk((await own.show("ports")).some(({ kind }) => kind === "pod"));
    },
  );

  await t.test("cnitool: ADD, CHECK, DEL, a fixed address, GC", async (t) => {
    await writeFile(
      join(folder, "10-tool.conflist"),
      JSON.stringify({ ...network, cniVersion: "1.1.0", name: "tool" }),
    );
    namespaces.add("tool");
    const cnitool = (verb: string, args: object = {}) =>
      run([join(PROGRAMS, "cnitool"), verb, "tool", namespaces.path("tool")], {
        env: { NETCONFPATH: folder, CNI_PATH: PLUGINS, CAP_ARGS: JSON.stringify(args) },
      });
    const asked = { ips: ["10.244.1.77/24"], mac: "02:00:00:00:00:77" };
    const added = await cnitool("add", asked);
    t.match(JSON.parse(added.stdout), { ips: [{ address: "10.244.1.77/24" }, {}] }, added.stderr);
    t.equal((await cnitool("check", asked)).status, 0);
    namespaces.ip("tool", "addr del 10.244.1.77/24 dev eth0");
    const checked = await cnitool("check", asked);
    t.match(`${checked.status} ${checked.stderr}`, /^1 .*has no address 10\.244\.1\.77\/24/s);
    t.equal((await cnitool("status")).status, 0);
    t.match((await cnitool("gc")).stderr, /valid-attachments/, "no list is not an empty one");
    t.equal((await cnitool("del", asked)).status, 0);
    t.same(await own.leases(), []);
    namespaces.remove("tool");
  });

  await t.test("as many pods with the plug-in `bridge` and with this one", async (t) => {
    const ipam = {
      type: "host-local",
      dataDir: join(folder, "ipam"),
      ranges: [[{ subnet: "10.99.0.0/16" }]],
    };
    const bridge = { type: "bridge", bridge: "cni0", isGateway: true, ipam };
    for (const each of [{ cniVersion: "1.0.0", name: "bridge", plugins: [bridge] }, network]) {
      await runtime.setNetwork(each);
      const began = performance.now();
      const names = Array.from({ length: POD_COUNT }, (_, i) => `${each.name}-${i}`);
      const made = await Promise.all(names.map((name) => makePod(name)));
      const madeSec = (performance.now() - began) / 1000;
      t.ok(made.every((pod) => pod !== undefined));
      await Promise.all(made.map((pod) => runtime.crictl("rmp", "-f", pod ?? "")));
      const awaySec = (performance.now() - began) / 1000 - madeSec;
      t.comment(
        `${each.name}: ${POD_COUNT} pods: ${madeSec.toFixed(1)} s to make, ${awaySec.toFixed(1)} s to remove`,
      );
      await removePods();
    }
    t.same(await own.leases(), []);
  });

  await t.test(
    "many pods at once, three times, calls given up anywhere: nothing is left behind",
    async (t) => {
      for (let round = 0; round < ROUNDS; round++) {
        const began = performance.now();
        await Promise.all(
          Array.from({ length: POD_COUNT }, async (_, i) => {
            await makePod(`many-${round}-${i}`, {}, i % 3 === 0 ? 20 + 37 * i : undefined);
          }),
        );
        const madeMs = performance.now() - began;
        const ips = (await own.leases()).flatMap((lease) => lease.ips);
        t.equal(new Set(ips).size, ips.length, "each address once");
        const made = (await pods()).length;
        await Promise.all((await pods()).map((pod) => runtime.crictl("rmp", "-f", pod)));
        t.comment(
          `${POD_COUNT} pods asked for, ${made} made in ${(madeMs / 1000).toFixed(1)} s, away after ` +
            `${((performance.now() - began) / 1000).toFixed(1)} s`,
        );
        await until(
          "calls that were given up to end",
          async () => {
            await removePods();
            return (await own.leases()).length === 0 && (await pods()).length === 0;
          },
          60_000,
        );
        t.notOk((await own.show("ports")).some(({ kind }) => kind === "pod"));
      }
      await sleep(100);
      const left = await run(["ip", "netns", "list"]);
      t.notMatch(left.stdout, /cni-/, "no namespace of a sandbox is left");
    },
  );
});
