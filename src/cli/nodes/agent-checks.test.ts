import t from "tap";
import { type AgentStatus, agentChecks } from "./agent-checks.ts";
import { type PeerReport, peerChecks } from "./peer-checks.ts";

const WELL: AgentStatus = {
  node: "node1",
  pid: 7,
  ready: true,
  ports: [{ name: "host0", kind: "host", pod: "", state: "up", error: "" }],
  objects: { nodes: 1, pods: 2, services: 0, endpointSlices: 1 },
  internalErrors: 0,
  refusedServicePorts: 0,
};
const LOST = "eth0: /run/netns/web: no such namespace";
const GONE = { name: "eth0 default/web", kind: "pod", pod: "default/web", state: "error", error: LOST };
const wrong = (changes: Partial<AgentStatus>, count = 0) =>
  agentChecks({ ...WELL, ...changes }, { count, max: 100 }).filter(({ ok }) => !ok);

t.test("all is well", async (t) => {
  const checks = agentChecks(WELL, { count: 94, max: 100 });
  t.ok(checks.every(({ ok, advice }) => ok && advice === ""));
  t.same(
    checks.map(({ check, detail }) => `${check}: ${detail}`),
    [
      "objects: 1 node, 2 pods, 0 services, 1 slice",
      "ports: 1 up",
      "services: all fit",
      "connections: 94 of 100",
      "data plane: no internal errors",
    ],
  );
});

t.test("each thing that is wrong is told once, with what to do", async (t) => {
  const missing = 'no Node object "node1" with an address and a podCIDR yet';
  const cases: [string, Partial<AgentStatus>, number, string, string][] = [
    ["no Node", { ready: false, error: missing }, 0, missing, "give its source a Node node1"],
    [
      "a port",
      { ready: false, error: LOST, ports: [GONE] },
      0,
      `pod default/web: ${LOST}`,
      "make its namespace",
    ],
    ["services", { refusedServicePorts: 3 }, 0, "3 service ports do not fit", "remove some Services"],
    ["the agent's own", { problems: ["a.yaml:3: no colon"] }, 0, "a.yaml:3: no colon", ""],
    ["full", {}, 95, "95 of 100", "raise conntrack.max"],
    ["errors", { internalErrors: 2 }, 0, "2 packets met an internal error", "report it"],
  ];
  for (const [what, changes, count, detail, advice] of cases) {
    const found = wrong(changes, count);
    t.equal(found.length, 1, what);
    t.ok(found[0].detail.startsWith(detail), `${what}: ${found[0].detail}`);
    t.ok(found[0].advice.startsWith(advice), `${what}: ${found[0].advice}`);
  }
});

const UPLINK = {
  ...{ kind: "uplink", interface: "eth0", isUp: true, hasCarrier: true },
  received: 9000,
  missed: 0,
} as const;
const SERVER = { server: "https://10.0.0.1:6443", problem: "", silentSeconds: 3.2, aheadSeconds: 0.3 };

t.test("what an API server and the kernel say", async (t) => {
  const rows = (changes: Partial<AgentStatus>, isOk: boolean) =>
    agentChecks({ ...WELL, ...changes }, { count: 0, max: 100 })
      .filter(({ ok }) => ok === isOk)
      .map(({ check, detail, advice }) => `${check}: ${detail}: ${advice}`);
  const device = (changes: object) => ({ devices: [{ ...UPLINK, ...changes }] }) as Partial<AgentStatus>;
  const well = rows({ source: SERVER, ...device({ missed: 99 }), datagramJoining: "off: no" }, true).join(
    "\n",
  );
  t.match(well, /^API server: https:\/\/10\.0\.0\.1:6443: heard of 3 s ago: $/m);
  t.match(well, /^clock: as the API server's: $/m);
  t.match(well, /^uplink: eth0 is up: \nsocket: 99 of 9099 frames had no room: $/m);
  t.match(well, /^datagram joining: off: no: $/m);
  const cases: [Partial<AgentStatus>, RegExp][] = [
    [
      { source: { ...SERVER, aheadSeconds: 61 } },
      /^clock: this node's is 61 s behind the API server's: let chrony/,
    ],
    [
      { source: { ...SERVER, silentSeconds: -1 } },
      /^API server: https:\/\/10\.0\.0\.1:6443: not heard of yet: ask again in some seconds/,
    ],
    [{ source: { ...SERVER, aheadSeconds: -61 } }, /^clock: this node's is 61 s ahead of the API server's: /],
    [device({ isUp: false }), /^uplink: eth0 is down: ip link set eth0 up$/],
    [device({ hasCarrier: false }), /^uplink: eth0 has no carrier: nothing is at the other end/],
    [device({ missed: 100 }), /^socket: 100 of 9100 frames had no room: .* workers$/],
    [
      device({ kind: "host", interface: "host0", hasCarrier: false }),
      /^host device: host0 has no carrier: start/,
    ],
  ];
  for (const [changes, line] of cases) {
    const found = rows(changes, false);
    t.equal(found.length, 1);
    t.match(found[0], line);
  }
});

t.test("ways to other nodes", async (t) => {
  const way = (changes: Partial<PeerReport> = {}): PeerReport => ({
    ...{ node: "node2", family: 4, address: "192.168.50.12", target: "10.244.2.0" },
    ...{ answers: true, ms: 0.42, mtu: 1450, fits: true },
    ...changes,
  });
  const lines = (items: PeerReport[], vxlanPort?: number): string[] => {
    const answer = vxlanPort === undefined ? { items } : { items, vxlanPort };
    return peerChecks("node1", answer, "eth0").map(
      ({ check, ok, detail, advice }) => `${check} ${ok} ${detail}: ${advice}`,
    );
  };
  t.same(lines([]), ["peers true there is no other node: "]);
  t.same(lines([way(), way({ family: 6, ms: 1 })], 8472), [
    "peers true node2 answers by IPv4 and IPv6 within 1.0 ms: ",
    "MTU true 1450 bytes reach node2: ",
  ]);
  const mixed = [
    way(),
    way({ node: "node3", answers: false, fits: false }),
    way({ node: "node4", fits: false }),
  ];
  const told = lines(mixed, 8472);
  t.equal(told.length, 2);
  t.match(
    told[0],
    /^peers false node3 \(192.*\) does not answer through the tunnel at 10\.244\.2\.0: .*8472 pass/,
  );
  t.match(
    told[1],
    /^MTU false node4: packets of 1450 .*: the network between the nodes must carry 1500 .* eth0 on all$/,
  );
  const six = (mtu: number) => lines([way(), way({ family: 6, fits: false, mtu })], 8472)[1];
  t.match(six(1450), /carry 1500 bytes/, "in the tunnel of IPv4");
  t.match(six(1430), /carry 1500 bytes/, "in one of its own");
  const error = way({ family: 6, fits: false, text: "Packet too big (mtu = 1400)" });
  t.match(lines([error], 8472)[1], /small ones are \(Packet too big \(mtu = 1400\)\): .* carry 1520 bytes/);
  t.match(
    lines([way({ answers: false })])[0],
    /does not answer: .* does it route this node's pod range here$/,
  );
});
