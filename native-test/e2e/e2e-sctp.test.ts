// SCTP, UDP-Lite, GRE and ESP through a lab: ClusterIP, NodePort, masquerade, tunnel, both families, fragments. The
// kernel need not know SCTP: sctp-peer.ts speaks it on raw sockets, and hears nothing that has a wrong CRC; tshark
// judges the CRCs again.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod } from "../../src/testing/lab/objects.ts";
import { run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { podAddress6 } from "../support/ipv6-scenario.ts";

const PEER = fileURLToPath(new URL("../support/sctp-peer.js", import.meta.url));
const PORT = 2905;
const NODE_PORT = 30905;
const OUTSIDE = "192.168.50.100";
const NODE1 = "192.168.50.11";
const skip = cannotRun("socat");

interface Answer {
  client: string;
  port: number;
  bytes: number;
}

function objects(): object[] {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "m3ua", namespace: "default" },
    spec: {
      type: "NodePort",
      ipFamilyPolicy: "PreferDualStack",
      selector: { app: "m3ua" },
      ports: [{ name: "sctp", protocol: "SCTP", port: 29050, targetPort: PORT, nodePort: NODE_PORT }],
    },
  };
  const command = [process.execPath, PEER, "serve", String(PORT)];
  return [client("client-1", "node1"), pod("m3ua-1", "node2", { app: "m3ua", command }), service];
}

async function ask(
  lab: TestLab,
  from: string,
  to: string,
  port: number,
  bytes = 10,
  seconds = 0,
): Promise<Answer> {
  const words = [process.execPath, PEER, "ask", to, String(port), String(bytes), String(seconds)];
  const result = await lab.exec(from, words, { timeoutMs: 20_000 });
  if (result.status !== 0) throw new Error(`${from} → ${to}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

t.test("SCTP and protocols without states", { skip }, async (t) => {
  const lab = await TestLab.up("sctp", { clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", objects: objects() });
  t.teardown(() => lab.down());
  const { clusterIPs } = (await lab.json("get", "services", "m3ua")).spec;
  const [address, address6] = [await lab.podAddress("client-1"), await podAddress6(lab, "client-1")];

  t.test("through a ClusterIP and the tunnel, in both families, whole and in fragments", async (t) => {
    for (const [vip, own] of [
      [clusterIPs[0], address],
      [clusterIPs[1], address6],
    ]) {
      for (const bytes of [10, 3000]) {
        const seen = await ask(lab, "client-1", vip, 29050, bytes);
        t.match(seen, { client: own, bytes }, `${vip}: ${bytes} bytes`);
      }
    }
  });

  t.test("the table and its events tell of an association as conntrack(8) does", async (t) => {
    const words = ["conntrack", "events", "-p", "sctp", "-d", clusterIPs[0], "--node", "node1"];
    const events = await start([PODWIRE, "--lab", lab.name, ...words], /waiting for events/);
    const asking = ask(lab, "client-1", clusterIPs[0], 29050, 10, 2);
    const list = () =>
      lab.output(["conntrack", "list", "-p", "sctp", "-d", clusterIPs[0], "--node", "node1"]);
    let line: string | undefined; // a second list may come too late: the association ends by itself
    const established = async (): Promise<boolean> => {
      line = (await list()).split("\n").find((one) => one.includes("ESTABLISHED"));
      return line !== undefined;
    };
    await until("an association", established, 8000);
    t.match(
      line,
      new RegExp(
        `^sctp     132 2\\d\\d ESTABLISHED src=${address} dst=${clusterIPs[0]} sport=\\d+ dport=29050 .*` +
          `src=10\\.244\\.2\\.\\d+ dst=${address} sport=${PORT} dport=\\d+ .*\\[ASSURED\\] mark=0`,
      ),
    );
    t.equal((await asking).client, address);
    await until("the end", async () => /\[UPDATE\] sctp +132 10 CLOSED/.test(events.output()));
    await events.stop("SIGINT");
    // Those of this one: earlier ones end meanwhile.
    const port = /sport=(\d+)/.exec(line ?? "")?.[1];
    const mine = events
      .output()
      .split("\n")
      .filter((one) => one.includes(`sport=${port} dport=29050 `));
    const said = mine.join("\n").matchAll(/\[(NEW|UPDATE|DESTROY)\] sctp +132 \d* ?([A-Z_]+) src=/g);
    const steps = [...said].map(([, type, state]) => `${type} ${state}`);
    t.same(steps.slice(0, 7), [
      "NEW CLOSED",
      "UPDATE COOKIE_WAIT",
      "UPDATE COOKIE_ECHOED",
      "UPDATE ESTABLISHED",
      "UPDATE SHUTDOWN_SENT",
      "UPDATE SHUTDOWN_ACK_SENT",
      "UPDATE CLOSED",
    ]);
    t.match(events.output(), /flow events have been shown/);
  });

  t.test("through a node port, masqueraded with a port of its own", async (t) => {
    const seen = await ask(lab, "client/outside", NODE1, NODE_PORT, 3000);
    t.match(seen, { client: /^10\.244\.1\.0$/, bytes: 3000 }, "the VTEP's address");
  });

  t.test("to a server outside, which sees the node", async (t) => {
    const server = await lab.startIn("client/outside", [process.execPath, PEER, "serve", "77"], /listening/);
    t.match(await ask(lab, "client-1", OUTSIDE, 77), { client: NODE1 });
    await server.stop();
  });

  t.test(
    "tshark finds no wrong CRC where it arrives",
    { skip: cannotRun("tshark", "tcpdump") },
    async (t) => {
      const file = join(lab.folder, "sctp.pcapng");
      const capture = await lab.startIn(
        "m3ua-1",
        ["tcpdump", "-U", "--immediate-mode", "-i", "eth0", "-w", file, "sctp"],
        /listening on/,
      );
      await ask(lab, "client-1", clusterIPs[0], 29050, 500);
      await ask(lab, "client/outside", NODE1, NODE_PORT, 500);
      await sleep(300);
      await capture.stop();
      const fields = ["-T", "fields", "-e", "sctp.checksum.status", "-e", "sctp.port"];
      const result = await run([
        "tshark",
        "-n",
        "-r",
        file,
        "-o",
        "sctp.checksum:crc-32c",
        "-Y",
        "sctp",
        ...fields,
      ]);
      const lines = result.stdout.split("\n").filter((line) => line !== "");
      t.ok(lines.length >= 16, `${lines.length} packets ${result.stderr}`);
      t.same(
        lines.filter((line) => !/^1(?:,1)*\t/.test(line)),
        [],
      );
    },
  );

  const others: [string, string, string, string, RegExp][] = [
    [
      "GRE",
      "47",
      `IP4-RECVFROM:47,fork`,
      `IP4-DATAGRAM:${OUTSIDE}:47`,
      /^gre +47 \d+ .*srckey=0x0 dstkey=0x0/,
    ],
    ["ESP", "50", `IP4-RECVFROM:50,fork`, `IP4-DATAGRAM:${OUTSIDE}:50`, /^unknown +50 \d+ src/],
    ["protocol 253", "253", `IP4-RECVFROM:253,fork`, `IP4-DATAGRAM:${OUTSIDE}:253`, /^unknown +253 \d+ src/],
    [
      "UDP-Lite",
      "udplite",
      "UDP4-RECVFROM:700,protocol=136,fork",
      `UDP4-DATAGRAM:${OUTSIDE}:700,protocol=136`,
      /^udplite +136 \d+ .*sport=\d+ dport=700/,
    ],
  ];
  for (const [name, proto, listen, connect, entry] of others) {
    t.test(`${name} finds its way out and back by masquerade`, async (t) => {
      const server = await lab.startIn(
        "client/outside",
        ["sh", "-c", `echo ready; exec socat ${listen} EXEC:cat`],
        /ready/,
      );
      await sleep(300);
      // Eight bytes that are a plain GRE header, and text for everybody else.
      const text = "\\000\\000\\010\\000echo";
      const said = await lab.exec("client-1", ["sh", "-c", `printf '${text}' | socat -t2 STDIO ${connect}`]);
      t.match(said.stdout, /echo/, said.stderr);
      const list = await lab.output(["conntrack", "list", "-p", proto, "--node", "node1"]);
      t.match(list, entry);
      t.match(list, `src=${OUTSIDE} dst=${NODE1}`, "by the node's address");
      await server.stop();
    });
  }
});
