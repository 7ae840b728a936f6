// The virtual servers of ipvs mode, one test a row, as ipvsadm -S -n prints them.
import t from "tap";
import { ip } from "../base/ip.ts";
import type { KubeObject } from "../kube/objects.ts";
import { service, slice } from "../testing/world/proxy-objects.ts";
import {
  BALANCER,
  config,
  HERE,
  LOCAL_ENDPOINT,
  NODE_PORT,
  REMOTE_ENDPOINT,
} from "../testing/world/proxy-rules.ts";
import type { RulesInput } from "./proxy-view.ts";
import { renderRules } from "./rules.ts";

function lines(objects: KubeObject[], options: object = {}, input: Partial<RulesInput> = {}): string[] {
  const text = renderRules("ipvsadm", {
    objects: [HERE, ...objects],
    nodeName: "here",
    config: config({ mode: "ipvs", ...options }),
    family: 4,
    ...input,
  });
  return text.split("\n").slice(0, -1);
}

const BOTH = slice({ endpoints: [LOCAL_ENDPOINT, REMOTE_ENDPOINT] });
const REMOTE = slice({ endpoints: [REMOTE_ENDPOINT] });
const reals = (address: string, ...endpoints: string[]) =>
  endpoints.map((endpoint) => `-a -t ${address} -r ${endpoint} -m -w 1`);

t.test("section 9: every address of a Service is a virtual server", async (t) => {
  const spec = { ...BALANCER, externalIPs: ["192.168.99.22"] };
  const port = { nodePort: 30080 };
  const localAddresses = [ip("10.0.1.254")];
  t.strictSame(
    lines([service({ spec, ingress: [{ ip: "1.2.3.4" }], port }), REMOTE], {}, { localAddresses }),
    [
      ...[
        "172.30.0.41:80",
        "192.168.99.22:80",
        "1.2.3.4:80",
        "192.168.0.2:30080",
        "10.0.1.254:30080",
      ].flatMap((address) => [`-A -t ${address} -s rr`, ...reals(address, "10.0.2.1:8080")]),
    ],
  );
});

t.test("section 9: one scheduler for all; mh hashes ports too", async (t) => {
  const made = (scheduler: string) => lines([service()], { ipvs: { scheduler } });
  for (const scheduler of ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq"]) {
    t.strictSame(made(scheduler), [`-A -t 172.30.0.41:80 -s ${scheduler}`]);
  }
  t.strictSame(made("mh"), ["-A -t 172.30.0.41:80 -s mh -b mh-port"]);
});

t.test("section 9: weights by podwire's annotations", async (t) => {
  const both = slice({ endpoints: [LOCAL_ENDPOINT, REMOTE_ENDPOINT] });
  const annotations = { "podwire.dev/weight": "7", "podwire.dev/weights": "10.0.2.1=0,10.9.9.9=3" };
  const weighted = { ...both, metadata: { ...both.metadata, annotations } };
  t.match(lines([service(), weighted], { ipvs: { scheduler: "wrr" } }), [
    "-A -t 172.30.0.41:80 -s wrr",
    / -m -w 7$/,
    "-a -t 172.30.0.41:80 -r 10.0.2.1:8080 -m -w 0",
  ]);
});

t.test("section 9: affinity is persistence, endpoints have weight 1", async (t) => {
  t.strictSame(lines([service({ spec: { sessionAffinity: "ClientIP" } }), BOTH]), [
    "-A -t 172.30.0.41:80 -s rr -p 10800",
    ...reals("172.30.0.41:80", "10.0.1.1:8080", "10.0.2.1:8080"),
  ]);
});

t.test("section 9: without endpoints a virtual server stands alone", async (t) => {
  t.strictSame(lines([service()]), ["-A -t 172.30.0.41:80 -s rr"]);
});

t.test("section 9: policy Local without local endpoints falls back to all", async (t) => {
  const spec = { ...NODE_PORT, externalTrafficPolicy: "Local" };
  const port = { nodePort: 30080 };
  const cluster = ["-A -t 172.30.0.41:80 -s rr", ...reals("172.30.0.41:80", "10.0.2.1:8080")];
  t.strictSame(lines([service({ spec, port }), REMOTE]), [
    ...cluster,
    "-A -t 192.168.0.2:30080 -s rr",
    ...reals("192.168.0.2:30080", "10.0.2.1:8080"),
  ]);
  t.strictSame(lines([service({ spec, port }), BOTH]).slice(-2), [
    "-A -t 192.168.0.2:30080 -s rr",
    ...reals("192.168.0.2:30080", "10.0.1.1:8080"),
  ]);
});

t.test(
  "section 9: internal policy Local without external address has no destination elsewhere",
  async (t) => {
    const spec = { internalTrafficPolicy: "Local" };
    t.strictSame(lines([service({ spec }), REMOTE]), ["-A -t 172.30.0.41:80 -s rr"]);
    const external = { ...spec, externalIPs: ["192.168.99.22"] };
    t.strictSame(lines([service({ spec: external }), REMOTE]).slice(0, 2), [
      "-A -t 172.30.0.41:80 -s rr",
      ...reals("172.30.0.41:80", "10.0.2.1:8080"),
    ]);
  },
);

t.test("section 9: node ports are not on loopback", async (t) => {
  const objects = [service({ spec: NODE_PORT, port: { nodePort: 30080 } })];
  const made = lines(objects, { nodePortAddresses: ["127.0.0.0/8", "192.168.0.0/16"] });
  t.strictSame(made, ["-A -t 172.30.0.41:80 -s rr", "-A -t 192.168.0.2:30080 -s rr"]);
});

t.test("section 9: protocols and IPv6 as ipvsadm writes them", async (t) => {
  const ports = [
    { name: "u", port: 53, protocol: "UDP" },
    { name: "s", port: 54, protocol: "SCTP" },
  ];
  const spec = { clusterIPs: ["172.30.0.41", "fd00:30::41"], ports };
  t.strictSame(lines([service({ spec })]), [
    "-A --sctp-service 172.30.0.41:54 -s rr",
    "-A -u 172.30.0.41:53 -s rr",
  ]);
  const v6 = slice({
    family: 6,
    endpoints: [{ address: "fd00:10:1::1" }],
    port: { name: "u", protocol: "UDP" },
  });
  t.strictSame(lines([service({ spec }), v6], {}, { family: 6 }), [
    "-A --sctp-service [fd00:30::41]:54 -s rr",
    "-A -u [fd00:30::41]:53 -s rr",
    "-a -u [fd00:30::41]:53 -r [fd00:10:1::1]:8080 -m -w 1",
  ]);
});
