// One connection through a Service on another node, as every verb that looks at packets tells it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parseConntrackLine } from "../../src/observe/conntrack-format.ts";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { type Running, run, start } from "../../src/testing/lab/process.ts";

const skip = cannotRun("curl", "tcpdump", "tshark");
const hasCap = existsSync("node_modules/cap/build/Release/cap.node");
const hasRawSocket = existsSync("node_modules/raw-socket/build/Release/raw.node");
const BAD = [
  'tcp.checksum.status == "Bad"',
  'udp.checksum.status == "Bad"',
  'ip.checksum.status == "Bad"',
  "_ws.malformed",
].join(" or ");

t.test("one connection, looked at from all sides", { skip }, async (t) => {
  const objects = [client("client-1", "node1"), pod("web-2", "node2", { app: "web" }), service("web")];
  const lab = await TestLab.up("observe", { objects });
  t.teardown(() => lab.down());
  const vip = await lab.clusterIP("web");
  const [from, to] = [await lab.podAddress("client-1"), await lab.podAddress("web-2")];
  const file = join(lab.folder, "all.pcapng");
  const watch = (ready: RegExp, ...args: string[]): Promise<Running> =>
    start([PODWIRE, "--lab", lab.name, ...args], ready);
  const curl = () => lab.exec("client-1", ["curl", "-sS", "-m", "5", `http://${vip}/`]);

  await t.test("status tells of the lab and of each of its agents", async (t) => {
    const text = await lab.output(["status"]);
    for (const node of ["node1", "node2"])
      t.match(text, new RegExp(`^lab t-observe/${node} +ports +yes +3 up$`, "m"));
  });

  await t.test("trace follows it over both nodes, in order", async (t) => {
    const wish = ["--from", "client-1", "--to", "svc/web", "-c", "1"];
    const tracing = await watch(/waiting for packets/, "trace", ...wish);
    t.equal((await curl()).status, 0);
    await tracing.ended;
    const text = tracing.output();
    const story = [
      /#\d+ node1 eth0 default\/client-1 {2}parse +IPv4 TCP .* SYN/,
      /track-connection PREROUTING conntrack NEW/,
      new RegExp(`choose-backend +nat KUBE-SERVICES → KUBE-SVC-.* DNAT ${vip}:80 → ${to}:8080`),
      /route +routing decision .* by the tunnel to/,
      /#\d+ node2 uplink eth0 {2}parse/,
      /decapsulate +VXLAN header taken off/,
      new RegExp(`output +to eth0 default/web-2 as ${from}:\\d+ → ${to}:8080`),
      /2 packets traced/,
    ];
    let at = 0;
    for (const line of story) {
      const found = text.slice(at).search(line);
      t.ok(found >= 0, `${line} in ${text.slice(at)}`);
      at += Math.max(found, 0);
    }
  });

  await t.test("capture writes every port's frames, right to the last checksum", async (t) => {
    const capturing = await watch(/listening on/, "capture", "-w", file, "tcp");
    for (let i = 0; i < 5; i++) t.equal((await curl()).status, 0);
    const upload = "head -c 2000000 /dev/zero | curl -sS -m 10 -o /dev/null -T - ";
    t.equal((await lab.exec("client-1", ["sh", "-c", `${upload} http://${vip}/`])).status, 0);
    await capturing.stop("SIGINT");
    t.match(capturing.output(), /\d+ packets captured\n0 packets dropped by podwire/);
    const checks = ["tcp", "udp", "ip"].flatMap((layer) => ["-o", `${layer}.check_checksum:TRUE`]);
    // The same segments pass several ports, and tshark would call putting them together twice malformed.
    checks.push("-o", "tcp.desegment_tcp_streams:FALSE", "-d", "udp.port==8472,vxlan");
    const shown = (filter: string) => run(["tshark", "-r", file, ...checks, "-Y", filter]);
    t.equal((await shown(BAD)).stdout, "");
    t.match((await shown(`vxlan && ip.dst == ${to}`)).stdout, /\n/);
    const fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"];
    const comments = await run(["tshark", "-r", file, "-Y", "tcp.flags.syn == 1", ...fields]);
    t.match(comments.stdout, /node1 eth0 default\/client-1\t.*conntrack NEW; NAT destination /);
    t.match(comments.stdout, /node2 eth0 default\/web-2\t/);
  });

  await t.test("replay gives the capture's packets their verdicts again", async (t) => {
    const { status, stderr } = await lab.podwire(["replay", file, "--node", "node1"]);
    t.equal(status, 0);
    t.match(stderr, /^\d+ packets replayed: .*\d+ forward/);
    t.notMatch(stderr, /drop/);
  });

  await t.test("conntrack lists it in conntrack's words, and forgets it when told", async (t) => {
    const filter = ["--node", "node1", "-p", "tcp", "-d", vip, "--dport", "80"];
    const lines = (await lab.output(["conntrack", "list", ...filter])).trimEnd().split("\n");
    const entry = parseConntrackLine(lines[0]);
    t.match(entry, { orig: { src: from, dst: vip, dport: 80 }, reply: { src: to, sport: 8080, dst: from } });
    await lab.output(["conntrack", "delete", "-s", from]);
    t.equal(await lab.output(["conntrack", "list", ...filter]), "");
    t.equal(
      await lab.output(["conntrack", "list", "--node", "node1", "-p", "tcp"]),
      "",
      "pings of nodes alone are left",
    );
  });

  await t.test(
    "capture --interface sees the fabric side",
    { skip: !hasCap && "cap is not built" },
    async (t) => {
      const args = ["capture", "--node", "node1", "-i", "eth0", "-c", "2", "udp port 8472"];
      const capturing = await watch(/listening on interface eth0/, ...args);
      await curl();
      await capturing.ended;
      t.match(capturing.output(), /eth0 IP .*8472: VXLAN, .*vni 1: IP /);
    },
  );

  await t.test(
    "ping finds pod, VTEP and path MTU",
    { skip: !hasRawSocket && "raw-socket is not built" },
    async (t) => {
      for (const target of ["pod/web-2", "vtep/node2", "node/node2", "client/outside"]) {
        const { status, stdout } = await lab.podwire(["ping", target, "-c", "2", "-i", "0.1"]);
        t.equal(status, 0, stdout);
      }
      t.match(await lab.output(["ping", "pod/web-2", "--mtu"]), /\npath MTU 1450\n$/);
      t.equal((await lab.podwire(["ping", "192.168.50.99", "-c", "1", "-W", "0.5"])).status, 3);
    },
  );
});
