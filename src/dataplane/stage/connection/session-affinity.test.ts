// Session affinity on a whole node: who gets which endpoint.

import t from "tap";
import { tcpFrame, udpFrame } from "../../../testing/frames/frame-builder.ts";
import { words } from "../../../testing/world/test-cluster.ts";
import { CLIENT, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import * as serviceChange from "../../change/services.ts";
import { Action } from "../../spec/services.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import * as tuple from "../../table/connection/tuple.ts";
import { slotOf } from "../../table/service/identities.ts";

const [VIP, NODE, POD2] = ["10.96.0.10", "192.168.50.11", "10.244.1.2"];
const ENDPOINTS = Array.from({ length: 8 }, (_, i) => `10.244.2.${10 + i}:8080`);
const WEB = { name: "web", clusterIp: VIP, port: 80, nodePort: 30080, affinitySec: 100 };

function node(affinitySec = 100, endpoints = ENDPOINTS): TestNode {
  const made = new TestNode();
  made.setService({ ...WEB, affinitySec, endpoints });
  return made;
}

let lastPort = 1024;

/** A new connection: the endpoint that its conntrack entry says. */
function connect(n: TestNode, from: string, dst: string, dstPort = 80, proto = "tcp"): string {
  const { w3 } = words(from);
  const ends = { ...pathTo(n, from, dst), srcPort: ++lastPort, dstPort };
  n.send(
    w3 >>> 8 === words("10.244.1.0").w3 >>> 8 ? "pod2" : "uplink",
    proto === "tcp" ? tcpFrame({ ...ends, flags: "S" }) : udpFrame(ends),
  );
  n.run();
  n.everything();
  const key = new Int32Array(tuple.TUPLE_WORDS);
  const ct = n.tables.conntrack;
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
    if (ct.status[slot << 4] === 0) continue;
    conntrack.loadTuple(ct, slot << 1, key);
    if (tuple.sourcePort(key) !== lastPort) continue;
    const { epAddr, epPort, ids } = n.tables.services;
    const endpoint = slotOf(ids, ct.endpoint[slot << 4]);
    const word = epAddr[endpoint * 4 + 3];
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}:${epPort[endpoint]}`;
  }
  return "";
}

const many = (count: number, ask: () => string): Set<string> => new Set(Array.from({ length: count }, ask));

t.test("without affinity a client gets any endpoint, with it the same one again", async (t) => {
  const plain = node(0);
  t.ok(many(40, () => connect(plain, POD2, VIP)).size > 4);
  const sticky = node();
  t.equal(many(40, () => connect(sticky, POD2, VIP)).size, 1);
});

t.test("clients choose each for themselves", async (t) => {
  const n = node();
  const chosen = new Set(
    Array.from({ length: 60 }, (_, i) => connect(n, `192.168.50.${100 + i}`, NODE, 30080)),
  );
  t.ok(chosen.size > 4);
});

t.test("ClusterIP and node port of a service port share what they remember", async (t) => {
  const n = node();
  const first = connect(n, POD2, VIP);
  t.same([...many(20, () => connect(n, POD2, NODE, 30080))], [first]);
});

t.test("in ipvs mode each address remembers for itself, and goes on when the service changes", async (t) => {
  const n = node();
  const set = (endpoints: string[]): void => n.setService({ ...WEB, ownAffinity: true, endpoints });
  const pairs = many(30, () => {
    n.setService({ ...WEB, affinitySec: 0, endpoints: ENDPOINTS });
    set(ENDPOINTS);
    return connect(n, POD2, VIP) === connect(n, POD2, NODE, 30080) ? "same" : "other";
  });
  t.ok(pairs.has("other"));
  const [vip, nodePort] = [connect(n, POD2, VIP), connect(n, POD2, NODE, 30080)];
  for (let i = 0; i < 10; i++) {
    set([...ENDPOINTS, `10.244.2.${100 + i}:8080`]);
    t.same([connect(n, POD2, VIP), connect(n, POD2, NODE, 30080)], [vip, nodePort]);
  }
});

t.test("another service port has its own", async (t) => {
  const n = node();
  n.setService({ ...WEB, name: "other", nodePort: 30081, clusterIp: "10.96.0.11", endpoints: ENDPOINTS });
  const pairs = many(30, () => {
    const client = `192.168.50.${100 + (lastPort % 90)}`;
    return connect(n, client, NODE, 30080) === connect(n, client, NODE, 30081) ? "same" : "other";
  });
  t.ok(pairs.has("other"));
});

t.test("the record ends that long after the last new connection", async (t) => {
  const n = node(60);
  const first = connect(n, POD2, VIP);
  for (let i = 0; i < 5; i++) {
    n.advanceMs(50_000, 5000);
    t.equal(connect(n, POD2, VIP), first, "renewed by each");
  }
  const later = many(40, () => {
    n.advanceMs(62_000, 31_000);
    return connect(n, POD2, VIP);
  });
  t.ok(later.size > 2);
});

t.test("a time-out of one second is one second", async (t) => {
  const later = (ms: number): Set<string> => {
    const n = node(1);
    return many(20, () => {
      const first = connect(n, POD2, VIP);
      n.advanceMs(ms, ms);
      return connect(n, POD2, VIP) === first ? "same" : "other";
    });
  };
  t.same([...later(1000)], ["same"]);
  t.ok(later(1001).has("other"));
});

t.test("the record dies with the endpoint, and comes back with no other that takes its slot", async (t) => {
  const n = node();
  const first = connect(n, POD2, VIP);
  const others = ENDPOINTS.filter((e) => e !== first);
  n.setService({ ...WEB, endpoints: others });
  const second = connect(n, POD2, VIP);
  t.not(second, first);
  n.setService({ ...WEB, endpoints: [...others, "10.244.2.99:8080"] });
  t.equal(connect(n, POD2, VIP), second);
});

t.test("an endpoint that no longer gets new connections is not chosen for old times' sake", async (t) => {
  const n = node(100, ENDPOINTS.slice(0, 1));
  t.equal(connect(n, POD2, VIP), ENDPOINTS[0]);
  const spec = [...n.tables.services.records.keys()];
  t.equal(spec.length, 1);
  const endpoints = ENDPOINTS.slice(0, 2).map((text) => {
    const [address, port] = text.split(":");
    return { ...words(address), port: Number(port), flags: 0b0100 };
  });
  const get = { action: Action.DNAT, set: 0, masquerade: false };
  serviceChange.update(n.tables.services, {
    remove: [],
    upsert: [
      {
        id: spec[0],
        name: "web",
        protocol: 6,
        affinitySec: 100,
        endpoints,
        sets: [[1]], // the first one terminates: kept for its connections only
        frontends: [
          { kind: 0, ...words(VIP), family: 4, port: 80, sourceRanges: null, byClass: [get, get, get] },
        ],
      },
    ],
  });
  t.equal(connect(n, POD2, VIP), ENDPOINTS[1]);
  t.equal(connect(n, POD2, VIP), ENDPOINTS[1]);
});

t.test("UDP clients stay as well", async (t) => {
  const n = new TestNode();
  n.setService({ ...WEB, protocol: 17, endpoints: ENDPOINTS });
  t.equal(many(20, () => connect(n, CLIENT, NODE, 30080, "udp")).size, 1);
});
