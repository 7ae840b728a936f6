// Events of a node's connections, as `podwire conntrack events` prints them. The lines of a TCP connection, a ping and
// an SCTP association are those that conntrack -E printed of a Linux 6.18.
import t from "tap";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { conntrackXml } from "../observe/conntrack-documents.ts";
import { createConntrackFilter } from "../observe/conntrack-filter.ts";
import {
  formatConntrackEntry,
  formatConntrackEvent,
  parseConntrackLine,
} from "../observe/conntrack-format.ts";
import * as build from "../testing/frames/frame-builder.ts";
import * as chunk from "../testing/frames/sctp-chunks.ts";
import { brought, keepClients } from "../testing/world/kept-clients.ts";
import { CLIENT, pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";
import { ConntrackEvents, createEventFilter } from "./conntrack-events.ts";
import { liveConnections, type NodeOfVtep } from "./conntrack-view.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";

function lines(events: ConntrackEvents): string[] {
  const found: string[] = [];
  for (let event = events.next(); event !== undefined; event = events.next()) {
    found.push(formatConntrackEvent(event));
  }
  return found;
}

const there = `src=${POD2} dst=${POD3}`;
const back = `src=${POD3} dst=${POD2}`;

t.test("a TCP connection tells of itself as to conntrack -E", async (t) => {
  const node = new TestNode();
  const events = new ConntrackEvents(node.tables.conntrack, "node1");
  const [out, home] = ["pod2", "pod3"];
  const say = (from: string, flags: string, seq: number, ack: number): void => {
    const ends =
      from === out
        ? { ...pathTo(node, POD2, POD3), srcPort: 55622, dstPort: 81 }
        : { ...pathTo(node, POD3, POD2), srcPort: 81, dstPort: 55622 };
    node.through(from, build.tcpFrame({ ...ends, flags, seq, ack }));
  };
  say(out, "S", 100, 0);
  say(home, "S.", 500, 101);
  say(out, ".", 101, 501);
  say(out, ".", 101, 501);
  say(out, "F.", 101, 501);
  say(home, "R.", 501, 102);
  const ports = "sport=55622 dport=81";
  const swapped = "sport=81 dport=55622";
  t.same(lines(events), [
    `    [NEW] tcp      6 120 SYN_SENT ${there} ${ports} [UNREPLIED] ${back} ${swapped}`,
    ` [UPDATE] tcp      6 60 SYN_RECV ${there} ${ports} ${back} ${swapped}`,
    ` [UPDATE] tcp      6 432000 ESTABLISHED ${there} ${ports} ${back} ${swapped} [ASSURED]`,
    ` [UPDATE] tcp      6 120 FIN_WAIT ${there} ${ports} ${back} ${swapped} [ASSURED]`,
    ` [UPDATE] tcp      6 10 CLOSE ${there} ${ports} ${back} ${swapped} [ASSURED]`,
  ]);
  node.advanceMs(16_000, 500);
  t.match(
    lines(events)[0],
    /^\[DESTROY\] tcp {6}6 CLOSE .* packets=4 bytes=160 .* packets=2 bytes=80 \[ASSURED\] delta-time=\d+$/,
  );
  events.close();
});

t.test("a ping and an SCTP association", async (t) => {
  const node = new TestNode();
  const events = new ConntrackEvents(node.tables.conntrack, "node1");
  node.through("pod2", build.echoFrame({ ...pathTo(node, POD2, POD3), echoId: 7 }));
  node.through("pod3", build.echoFrame({ ...pathTo(node, POD3, POD2), echoId: 7, reply: true }));
  node.through("pod2", build.echoFrame({ ...pathTo(node, POD2, POD3), echoId: 7 }));
  const one = `${there} type=8 code=0 id=7`;
  const two = `${back} type=0 code=0 id=7`;
  t.same(lines(events), [
    `    [NEW] icmp     1 30 ${one} [UNREPLIED] ${two}`,
    ` [UPDATE] icmp     1 30 ${one} ${two}`,
  ]);
  const ends = { ...pathTo(node, POD2, POD3), srcPort: 5, dstPort: 6 };
  node.through("pod2", build.sctpFrame({ ...ends, vtag: 0, chunks: [chunk.init(1)] }));
  node.through(
    "pod3",
    build.sctpFrame({
      ...pathTo(node, POD3, POD2),
      srcPort: 6,
      dstPort: 5,
      vtag: 1,
      chunks: [chunk.initAck(2)],
    }),
  );
  const far = `${back} sport=6 dport=5`;
  t.same(lines(events), [
    `    [NEW] sctp     132 10 CLOSED ${there} sport=5 dport=6 [UNREPLIED] ${far}`,
    ` [UPDATE] sctp     132 3 COOKIE_WAIT ${there} sport=5 dport=6 ${far}`,
  ]);
  events.close();
});

t.test(
  "a reader that is slow is told how many it missed, and goes on with the oldest there is",
  async (t) => {
    const node = new TestNode();
    const { capacity } = node.tables.conntrack.events;
    const events = new ConntrackEvents(node.tables.conntrack, "node1");
    const total = capacity + 500;
    for (let i = 0; i < total; i++) {
      node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, POD3), srcPort: 1024 + i }));
      if (i % 1000 === 999 || i === total - 1) node.run();
      node.everything();
    }
    const got = lines(events);
    t.equal(got.length + events.lost, total);
    t.equal(events.lost, 501, "one place is the writer's");
    t.match(got.at(-1), `sport=${1024 + total - 1} `);
    t.same(lines(events), []);
    events.close();
  },
);

t.test("nobody listens: nothing is written", async (t) => {
  const node = new TestNode();
  const { events: ring } = node.tables.conntrack;
  node.through("pod2", build.udpFrame(pathTo(node, POD2, POD3)));
  t.ok(ring.words.every((word) => word === 0));
  const events = new ConntrackEvents(node.tables.conntrack, "node1");
  events.close();
  node.through("pod3", build.udpFrame({ ...pathTo(node, POD3, POD2), srcPort: 1, dstPort: 2 }));
  t.ok(ring.words.every((word) => word === 0));
});

t.test("a caller chooses by kind and by conntrack's filters", async (t) => {
  const node = new TestNode();
  const events = new ConntrackEvents(node.tables.conntrack, "node1");
  node.through("pod2", build.udpFrame(pathTo(node, POD2, POD3)));
  const event = events.next();
  if (event === undefined) throw new Error("no event");
  const all = createConntrackFilter([]);
  t.ok(createEventFilter("", all)(event));
  t.ok(createEventFilter("UPDATE,NEW", all)(event));
  t.notOk(createEventFilter("DESTROY", all)(event));
  t.ok(createEventFilter("", createConntrackFilter([["src", "10.244.1.0/24"]]))(event));
  t.notOk(createEventFilter("", createConntrackFilter([["proto", "tcp"]]))(event));
  t.match(event, { type: "NEW", node: "node1", proto: 17, family: "ipv4", id: 0 });
  events.close();
});

t.test("a client that another node brought: by which one, in lists and in events", async (t) => {
  const node = new TestNode({ index: 2 });
  keepClients(node, 2);
  const ct = node.tables.conntrack;
  const viaOf: NodeOfVtep = (hi, lo) => (hi === 0x0e01 && lo === (0xc0a8320b | 0) ? "192.168.50.11" : "?");
  const events = new ConntrackEvents(ct, "node2", undefined, () => viaOf);
  node.through("uplink", brought());
  const [{ entry }] = liveConnections(ct, "node2", undefined, viaOf);
  t.match(entry, { via: "192.168.50.11", orig: { src: CLIENT, dst: "10.244.2.2" } });
  t.not(entry.origZone ?? 0, 0);
  const line = formatConntrackEntry(entry, { extended: true });
  t.ok(line.endsWith(` orig-zone=${entry.origZone} delta-time=0 use=1 via=192.168.50.11`), line);
  t.match(parseConntrackLine(line), { via: "192.168.50.11", origZone: entry.origZone });
  t.notMatch(formatConntrackEntry(entry), /via/, "only where extended is asked for");
  t.match(conntrackXml(entry), /<via>192\.168\.50\.11<\/via>/);
  conntrack.remove(ct, 0);
  ct.via.fill(7);
  for (const type of ["NEW", "DESTROY"]) t.match(events.next(), { type, via: "192.168.50.11" });
  node.through("uplink", brought({ src: "10.244.1.7", srcPort: 9 }));
  const [plain] = liveConnections(ct, "node2");
  t.notOk("via" in plain.entry || "origZone" in plain.entry, "a pod of that node comes by itself");
  events.close();
});

t.test("octets of a connection beyond 4 GiB are not those of what ends after it", async (t) => {
  const node = new TestNode();
  const ct = node.tables.conntrack;
  const events = new ConntrackEvents(ct, "node1");
  const ended = [];
  for (const octets of [5 * 2 ** 32 + 7, 100]) {
    node.through("pod2", build.udpFrame(pathTo(node, POD2, POD3)));
    for (const dir of [0, 1]) conntrack.setCounts(ct, dir, 1, octets + dir);
    conntrack.remove(ct, 0);
    t.match(events.next(), { type: "NEW" });
    ended.push(events.next());
  }
  t.match(ended, [
    { type: "DESTROY", orig: { bytes: 5 * 2 ** 32 + 7 }, reply: { bytes: 5 * 2 ** 32 + 8 } },
    { type: "DESTROY", orig: { bytes: 100 }, reply: { bytes: 101 } },
  ]);
  events.close();
});
