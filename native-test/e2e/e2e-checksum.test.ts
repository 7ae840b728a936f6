// Every frame that podwire sends, judged by somebody else: tcpdump in the receiving pods and on the fabric,
// tshark over the captures. The uplinks give up all that they do for the kernel, so that the fabric's capture holds
// each tunnel packet by itself, with its checksums.
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { standardObjects, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { type Running, run, start } from "../../src/testing/lab/process.ts";
import { ask } from "../support/service-scenario.ts";
import { checkCapture, NOTHING_LEFT_TO_IT, nothingWrong } from "../support/tshark.ts";

const skip = cannotRun("tcpdump", "tshark", "curl", "ping", "socat", "iperf3", "ethtool");

t.test("checksums seen by tshark", { skip }, async (t) => {
  const lab = await TestLab.up("checksum", { objects: standardObjects() });
  t.teardown(() => lab.down());
  const file = (name: string) => join(lab.folder, `${name}.pcap`);
  const tcpdump = (device: string, to: string) => [
    ...["tcpdump", "-i", device, "-s", "0", "-U", "-Z", "root", "-B", "65536"],
    ...["-c", "20000", "-w", to],
  ];
  for (const node of ["node1", "node2"])
    await lab.exec(`node/${node}`, ["ethtool", "-K", "eth0", ...NOTHING_LEFT_TO_IT]);

  const captures: Running[] = [];
  for (const pod of ["web-1", "web-2", "client-1"])
    captures.push(await lab.startIn(pod, tcpdump("eth0", file(pod)), /listening on/));
  const fabric = ["nsenter", `--net=/run/netns/pw-${lab.name}-fabric`];
  captures.push(await start([...fabric, ...tcpdump("br0", file("fabric"))], /listening on/));
  const ports = JSON.parse((await run([...fabric, "ip", "-j", "link", "show", "master", "br0"])).stdout);
  const port: string = ports[0].ifname;
  captures.push(await start([...fabric, ...tcpdump(port, file("port"))], /listening on/));

  await sendEverything(lab);
  for (const capture of captures) await capture.stop("SIGINT");

  for (const name of ["web-1", "web-2", "client-1", "port"]) {
    await t.test(`nothing wrong in the capture of ${name}`, async (t) => {
      const check = await checkCapture(file(name));
      nothingWrong(t, check);
      t.ok(check.frames > 200, `${check.frames} frames`);
      t.ok(
        check.complete + check.partial > 100,
        `${check.complete} complete, ${check.partial} partial checksums`,
      );
      if (name === "port") t.ok(check.tunnelled > 100, `${check.tunnelled} tunnel packets`);
    });
  }
});

/** Traffic of every kind: requests, streams both ways, fragments, large pings, errors. */
async function sendEverything(lab: TestLab): Promise<void> {
  const service = await lab.clusterIP("web");
  await ask(lab, "client-1", `http://${service}`, 100);
  await ask(lab, "node/node1", `http://${service}`, 20);
  await ask(lab, "client/outside", "http://192.168.50.11:30080", 50);
  await ask(lab, "client/outside", "http://192.168.50.12:30080", 50);
  for (const pod of ["web-1", "web-2"]) {
    const address = await lab.podAddress(pod);
    await lab.exec("client-1", ["ping", "-n", "-c", "3", "-i", "0.2", "-s", "8000", address]);
    const udp = ["socat", "-b65536", "-t1", "-", `UDP4:${address}:${UDP_PORT}`];
    await lab.exec("client-1", udp, { input: Buffer.alloc(30_000, 7) });
    await lab.exec("client-1", ["traceroute", "-n", "-q", "1", "-w", "1", "-m", "4", address]);
    const server = await lab.startIn(pod, ["iperf3", "-s", "--forceflush"], /listening/);
    for (const reverse of [[], ["-R"]])
      await lab.exec("client-1", [
        "iperf3",
        "-c",
        address,
        "-n",
        "20M",
        "--connect-timeout",
        "3000",
        ...reverse,
      ]);
    await server.stop();
  }
  for (const [node, port] of [
    ["192.168.50.11", "30090"],
    ["192.168.50.12", "30090"],
  ])
    await lab.exec("client/outside", ["socat", "-b65536", "-t1", "-", `UDP4:${node}:${port}`], {
      input: "echo me",
    });
}
