// A pod whose device lost its carrier with an earlier agent hears where the node is: its kernel would ask again after 1 s.
import t from "tap";
import { ip } from "../../base/ip.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { Event } from "../counters.ts";
import { LocalAddresses } from "../table/local-addresses.ts";
import { announceNextHops, announceNode, announceToFabric } from "./announce.ts";
import { flush } from "./tx-queue.ts";

const MAC = "0a:58:0a:f4:01:02";

function attached(local: readonly string[]): {
  node: TestNode;
  station: (address: string) => Parameters<typeof announceNode>[1];
} {
  const node = new TestNode();
  node.tables.addresses.local = new LocalAddresses(local.map(ip));
  const { hi, lo } = build.mac(MAC);
  const station = (address: string) => {
    const { w0, w1, w2, w3 } = ip(address);
    return { w0, w1, w2, w3, macHi: hi, macLo: lo, port: node.portId("pod2") };
  };
  return { node, station };
}

function told(node: TestNode, port = "pod2", mac = [MAC]): string[] {
  flush(node.tables.tx);
  node.run();
  const out = node.received(port);
  for (const [i, { frame }] of out.entries()) {
    t.same(build.mac(mac[i] ?? mac[0]), {
      hi: (frame[0] << 8) | frame[1],
      lo: new DataView(frame.buffer, frame.byteOffset).getInt32(2),
    });
  }
  return out.map((r) => r.text).sort();
}

t.test(
  "a pod hears of the node's addresses in its family, loopback ones left out, and of the next hop",
  async (t) => {
    const { node, station } = attached([
      "10.244.1.1",
      "192.168.50.11",
      "127.0.0.1",
      "fd00:10:244:1::1",
      "::1",
    ]);
    announceNode(node.tables, station("10.244.1.2"));
    t.same(told(node), [
      `ARP, Reply 10.244.1.1 is-at ${node.gatewayMac}, length 28`,
      `ARP, Reply 169.254.1.1 is-at ${node.gatewayMac}, length 28`,
      `ARP, Reply 192.168.50.11 is-at ${node.gatewayMac}, length 28`,
    ]);
    t.equal(node.counters.events[Event.NEIGHBOR_ANNOUNCED], 3);
    announceNode(node.tables, station("fd00:10:244:1::2"));
    t.same(told(node), [
      "IP6 fd00:10:244:1::1 > fd00:10:244:1::2: ICMP6, neighbor advertisement, tgt is fd00:10:244:1::1, length 32",
      "IP6 fe80::1 > fd00:10:244:1::2: ICMP6, neighbor advertisement, tgt is fe80::1, length 32",
    ]);
    t.equal(node.counters.events[Event.NEIGHBOR_ANNOUNCED], 5);
    node.settle();
  },
);

t.test("host0 hears of the next hops alone; nobody hears of a node without a MAC", async (t) => {
  const { node, station } = attached(["10.244.1.1"]);
  announceNextHops(node.tables, station("192.168.50.11"));
  t.same(told(node), [`ARP, Reply 169.254.1.1 is-at ${node.gatewayMac}, length 28`]);
  Object.assign(node.tables.config.router, { macHi: 0, macLo: 0 });
  announceNode(node.tables, station("10.244.1.2"));
  t.same(told(node), []);
  node.settle();
});

t.test(
  "the fabric hears of a load balancer's address at the uplink: by request and answer, and by advertisement",
  async (t) => {
    const { node } = attached([]);
    const { w0, w1, w2, w3 } = ip("192.168.50.240");
    announceToFabric(node.tables, w0, w1, w2, w3);
    t.same(told(node, "uplink", ["ff:ff:ff:ff:ff:ff"]), [
      `ARP, Reply 192.168.50.240 is-at ${node.uplinkMac}, length 28`,
      "ARP, Request who-has 192.168.50.240 tell 192.168.50.240, length 28",
    ]);
    const six = ip("fd00:192:168:50::f0");
    announceToFabric(node.tables, six.w0, six.w1, six.w2, six.w3);
    t.same(told(node, "uplink", ["33:33:00:00:00:01"]), [
      "IP6 fd00:192:168:50::f0 > ff02::1: ICMP6, neighbor advertisement, tgt is fd00:192:168:50::f0, length 32",
    ]);
    t.equal(node.counters.events[Event.NEIGHBOR_ANNOUNCED], 3);
    node.tables.config.router.uplinkPort = -1;
    announceToFabric(node.tables, w0, w1, w2, w3);
    t.same(told(node, "uplink"), []);
    node.settle();
  },
);
