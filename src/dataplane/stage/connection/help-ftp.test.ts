// FTP through translation: what the two ends say, what the other end hears, and that the data connection it
// announces finds its way.
import t from "tap";
import * as build from "../../../testing/frames/frame-builder.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { type Received, TestNode } from "../../../testing/world/test-node.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as tcp from "../../../wire/transport/tcp.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const SERVICE = "10.96.123.234";
const NODE_PORT = 30_021;

/** One end of a TCP connection that only knows what it gets. */
interface End {
  readonly port: string;
  readonly address: string;
  readonly tcpPort: number;
  peer: string;
  peerPort: number;
  seq: number;
  ack: number;
}

class Control {
  readonly node: TestNode;
  readonly client: End;
  readonly server: End;

  constructor(node: TestNode, client: End, server: End) {
    this.node = node;
    this.client = client;
    this.server = server;
    this.#send(client, "S", "");
    this.#send(server, "S.", "");
    this.say(client, "");
    this.say(server, "220 ready\r\n");
    this.say(client, "USER anonymous\r\n");
    this.say(server, "230 welcome\r\n");
  }

  /** Sends a line and returns it as the other end reads it, or undefined when nothing came out. */
  say(from: End, line: string): string | undefined {
    const got = this.#send(from, line === "" ? "." : "P.", line);
    if (got === undefined) return undefined;
    const view = new DataView(got.frame.buffer, got.frame.byteOffset, got.frame.byteLength);
    const l4 = 14 + ipv4.headerLen(view, 14);
    return Buffer.from(got.frame.subarray(l4 + tcp.headerLen(view, l4))).toString("latin1");
  }

  #send(from: End, flags: string, payload: string): Received | undefined {
    const to = from === this.client ? this.server : this.client;
    const frame = build.tcpFrame({
      ...pathTo(this.node, from.address, from.peer),
      srcPort: from.tcpPort,
      dstPort: from.peerPort,
      flags,
      seq: from.seq,
      ack: from.ack,
      payload: Buffer.from(payload, "latin1"),
    });
    this.node.send(from.port, frame);
    this.node.run();
    const got = this.node.everything();
    from.seq = (from.seq + payload.length + (flags.startsWith("S") ? 1 : 0)) | 0;
    if (got.length === 0) return undefined;
    const view = new DataView(got[0].frame.buffer, got[0].frame.byteOffset, got[0].frame.byteLength);
    const l4 = 14 + ipv4.headerLen(view, 14);
    const len = 14 + ipv4.totalLen(view, 14) - l4 - tcp.headerLen(view, l4);
    if (to.ack !== 0 && tcp.seq(view, l4) !== to.ack)
      throw new Error(`a hole before ${JSON.stringify(payload)}`);
    if ((tcp.flags(view, l4) & tcp.FLAG_ACK) !== 0 && tcp.ack(view, l4) !== to.seq)
      throw new Error(`acknowledged ${tcp.ack(view, l4)} of ${to.seq}: ${JSON.stringify(payload)}`);
    to.ack = (tcp.seq(view, l4) + len + (flags.startsWith("S") ? 1 : 0)) | 0;
    to.peer = ipAt(view, 14 + 12);
    to.peerPort = tcp.srcPort(view, l4);
    return got[0];
  }
}

function ipAt(view: DataView, off: number): string {
  return [0, 1, 2, 3].map((i) => view.getUint8(off + i)).join(".");
}

function makeNode(helper = true): TestNode {
  const node = new TestNode();
  node.tables.config.extra.ftpHelper = helper ? 1 : 0;
  node.setService({
    name: "ftp",
    clusterIp: SERVICE,
    port: 21,
    nodePort: NODE_PORT,
    endpoints: [`${POD3}:21`],
  });
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  return node;
}

const SERVER: End = { port: "pod3", address: POD3, tcpPort: 21, peer: "", peerPort: 0, seq: -5, ack: 0 };

/** From a pod to the ClusterIP. */
function inside(node: TestNode): Control {
  const client = {
    port: "pod2",
    address: POD2,
    tcpPort: 40_001,
    peer: SERVICE,
    peerPort: 21,
    seq: 100,
    ack: 0,
  };
  return new Control(node, client, { ...SERVER });
}

/** From outside to the node port: both addresses are translated. */
function outside(node: TestNode): Control {
  const client = {
    ...{ port: "uplink", address: CLIENT, tcpPort: 40_001, seq: 100, ack: 0 },
    ...{ peer: node.address, peerPort: NODE_PORT },
  };
  return new Control(node, client, { ...SERVER });
}

function syn(node: TestNode, from: string, srcPort: number, to: string, dstPort: number): Uint8Array {
  return build.tcpFrame({ ...pathTo(node, from, to), srcPort, dstPort, flags: "S" });
}

const six = (address: string, port: number) => `${address.replaceAll(".", ",")},${port >> 8},${port & 255}`;

t.test("passive: the client hears the service's address and reaches the server through it", async (t) => {
  const node = makeNode();
  const c = inside(node);
  c.say(c.client, "PASV\r\n");
  const said = c.say(c.server, `227 Entering Passive Mode (${six(POD3, 50_000)}).\r\n`);
  t.equal(said, `227 Entering Passive Mode (${six(SERVICE, 50_000)}).\r\n`);
  const out = node.through("pod2", syn(node, POD2, 40_002, SERVICE, 50_000));
  t.equal(out.port, "pod3");
  t.match(out.text, `IP ${POD2}.40002 > ${POD3}.50000`);
  t.equal(c.say(c.client, "RETR x\r\n"), "RETR x\r\n", "numbers are shifted both ways from here on");
  t.equal(c.say(c.server, "150 here\r\n"), "150 here\r\n");
  t.match(node.events(), { CT_EXPECTED: 1 });
});

t.test("passive from outside: through both translations, EPSV too", async (t) => {
  const node = makeNode();
  const c = outside(node);
  c.say(c.client, "EPSV\r\n");
  t.equal(c.say(c.server, "229 ok (|||50001|)\r\n"), "229 ok (|||50001|)\r\n");
  const out = node.through("uplink", syn(node, CLIENT, 40_002, node.address, 50_001));
  t.equal(out.port, "pod3");
  t.match(out.text, `IP ${node.gateway}.40002 > ${POD3}.50001`, "as the control connection comes");
  const back = node.through(
    "pod3",
    build.tcpFrame({
      ...pathTo(node, POD3, node.gateway),
      srcPort: 50_001,
      dstPort: 40_002,
      flags: "S.",
      ack: 1,
    }),
  );
  t.match(back.text, `IP ${node.address}.50001 > ${CLIENT}.40002`);
});

t.test("active: the server hears the masquerade's address and reaches the client through it", async (t) => {
  const node = makeNode();
  const c = outside(node);
  const said = c.say(c.client, `PORT ${six(CLIENT, 45_000)}\r\n`);
  t.equal(said, `PORT ${six(node.gateway, 45_000)}\r\n`);
  t.equal(c.say(c.server, "200 ok\r\n"), "200 ok\r\n");
  const out = node.through("pod3", syn(node, POD3, 20, node.gateway, 45_000));
  t.equal(out.port, "uplink");
  t.match(out.text, `IP ${node.address}.20 > ${CLIENT}.45000`);
  const said2 = c.say(c.client, `EPRT |1|${CLIENT}|45002|\r\n`);
  t.equal(said2, `EPRT |1|${node.gateway}|45002|\r\n`, "a second one, shifted twice");
  t.equal(c.say(c.server, "200 ok\r\n"), "200 ok\r\n");
  t.equal(c.say(c.client, "QUIT\r\n"), "QUIT\r\n");
});

t.test("switched off, nothing is read and nothing expected", async (t) => {
  const node = makeNode(false);
  const c = inside(node);
  const line = `227 Entering Passive Mode (${six(POD3, 50_000)}).\r\n`;
  t.equal(c.say(c.server, line), line);
  node.send("pod2", syn(node, POD2, 40_002, SERVICE, 50_000));
  node.run();
  t.not(
    node.everything().map((r) => r.port),
    ["pod3"],
  );
  t.equal(node.events().CT_EXPECTED, undefined);
});

t.test("a foreign address is not believed, half a command is dropped", async (t) => {
  const node = makeNode();
  const c = inside(node);
  const bounce = `227 Entering Passive Mode (${six("10.244.1.9", 22)}).\r\n`;
  t.equal(c.say(c.server, bounce), bounce);
  t.equal(node.events().CT_EXPECTED, undefined);
  t.equal(c.say(c.client, "PORT 10,244"), undefined);
  t.same(node.drops(), { HELPER_INCOMPLETE: 1 });
});

t.test("an expectation is good once, for its client, and for five minutes", async (t) => {
  const node = makeNode();
  const pasv = (c: Control, port: number): void => {
    c.say(c.client, "PASV\r\n");
    c.say(c.server, `227 x (${six(POD3, port)})\r\n`);
  };
  const c = inside(node);
  const delivered = (srcPort: number, port: number, from = POD2): boolean => {
    node.send(from === POD2 ? "pod2" : "host", syn(node, from, srcPort, SERVICE, port));
    node.run();
    return node.everything().some((r) => r.port === "pod3");
  };
  pasv(c, 50_000);
  t.notOk(delivered(40_002, 50_001), "another port");
  t.notOk(delivered(40_002, 50_000, node.gateway), "another client");
  t.ok(delivered(40_002, 50_000));
  t.notOk(delivered(40_003, 50_000), "used up");
  pasv(c, 50_002);
  node.advanceMs(301_000, 10_000);
  t.notOk(delivered(40_002, 50_002), "too late");
});
