// Open vSwitch's user-space datapath (datapath_type=netdev), a switch that is a process as podwire is one, between two
// pods on one node: veth pairs into their namespaces, which it reads by packet sockets, the way its documentation has it.
// Services are translated by its own connection tracking. With TSO frames stay whole and checksums partial, as with us;
// without it the pods' devices have to do both before, and the kernel cuts and sums on its core. It has a database and
// sockets of its own in a folder that goes with it; the system's are not touched.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onExit, run, sleep, start } from "../shell.ts";
import { findOvs, type OvsPrograms } from "./ovs-programs.ts";
import { inNetns, ip, type Route, type Subject } from "./subject.ts";

const MTU = 1450;
const PODS = [
  { name: "a", host: 2 },
  { name: "b", host: 3 },
] as const;
const GATEWAY = "10.244.9.1";
const SERVICE = "10.96.0.101";
const address = (host: number) => `10.244.9.${host}`;
const mac = (host: number) => `02:00:00:00:0f:0${host}`;
const READY_TRIES = 50; // of 100 ms

export async function makeOvsSubject(kind: "ovs" | "ovs-tso"): Promise<Subject> {
  const programs = await findOvs();
  const prefix = kind === "ovs" ? "pwb-o" : "pwb-ot";
  const namespaces = ["sw", ...PODS.map((pod) => pod.name)].map((name) => `${prefix}${name}`);
  const file = (name: string) => `/run/netns/${prefix}${name}`;
  const remove = async () => {
    for (const name of namespaces) await run(["ip", "netns", "del", name], { mayFail: true });
  };
  await remove();
  onExit(remove);
  for (const name of namespaces) await run(["ip", "netns", "add", name]);
  for (const pod of PODS) await makePod(prefix, pod, kind === "ovs-tso");
  await startSwitch(programs, file("sw"), kind === "ovs-tso");
  const route: Omit<Route, "target" | "address"> = {
    path: "same-node",
    clientNetns: file("a"),
    clientDevice: "eth0",
    clientAddress: address(PODS[0].host),
    serverNetns: file("b"),
    serverDevice: "eth0",
  };
  return {
    name: kind,
    routes: [
      { ...route, target: "pod", address: address(PODS[1].host) },
      { ...route, target: "service", address: SERVICE },
    ],
  };
}

async function makePod(
  prefix: string,
  { name, host }: (typeof PODS)[number],
  hasTso: boolean,
): Promise<void> {
  const [pod, node] = [`${prefix}${name}`, `${prefix}sw`];
  const pair = ["type", "veth", "peer", "name", "eth0", "netns", pod];
  await run(["ip", "link", "add", `v${name}`, "netns", node, ...pair]);
  await ip(`/run/netns/${node}`, [`link set v${name} mtu ${MTU} up`]);
  await ip(`/run/netns/${pod}`, [
    "link set lo up",
    `link set eth0 address ${mac(host)} mtu ${MTU} up`,
    `addr add ${address(host)}/24 dev eth0`,
    `route add default via ${GATEWAY}`,
    // The switch routes nothing: who dials a Service sends to the other pod, whose address it gets.
    ...PODS.filter((other) => other.host !== host).map(
      (other) => `neigh add ${GATEWAY} lladdr ${mac(other.host)} dev eth0 nud permanent`,
    ),
  ]);
  const offloads = ["tx", "off", "tso", "off", "gso", "off"];
  if (!hasTso) await run(inNetns(`/run/netns/${pod}`, "ethtool", "-K", "eth0", ...offloads));
}

async function startSwitch(p: OvsPrograms, netns: string, hasTso: boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "podwire-bench-ovs-run-"));
  onExit(() => rm(folder, { recursive: true, force: true }));
  const own = ["RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR"].map((name) => `OVS_${name}=${folder}`);
  const env = ["env", ...own, `LD_LIBRARY_PATH=${p.libraries}`];
  const db = join(folder, "conf.db");
  const socket = `unix:${join(folder, "db.sock")}`;
  await run([...env, p.dbTool, "create", db, p.schema]);
  const server = [p.dbServer, db, `--remote=p${socket}`, `--unixctl=${join(folder, "db.ctl")}`];
  await start([...env, ...server, "-vconsole:info"], "ovsdb-server (Open vSwitch)");
  const vsctl = (...args: string[]) => run([...env, p.vsctl, `--db=${socket}`, "--timeout=20", ...args]);
  await retry(() => vsctl("--no-wait", "init"));
  if (hasTso) await vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true");
  const daemon = [p.vswitchd, socket, `--unixctl=${join(folder, "switch.ctl")}`, "-vconsole:info"];
  await start(inNetns(netns, ...env, ...daemon), "ovs-vswitchd (Open vSwitch)");
  await vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=secure");
  for (const [i, { name }] of PODS.entries())
    await vsctl(
      "add-port",
      "br0",
      `v${name}`,
      "--",
      "set",
      "interface",
      `v${name}`,
      `ofport_request=${i + 1}`,
    );
  const [, b] = PODS;
  const flows = [
    `priority=20,ip,in_port=1,nw_dst=${SERVICE},actions=ct(commit,zone=1,nat(dst=${address(b.host)}),table=1)`,
    `priority=20,ip,in_port=2,nw_src=${address(b.host)},actions=ct(zone=1,nat,table=1)`,
    "priority=10,actions=resubmit(,1)",
    "table=1,actions=normal",
  ];
  await writeFile(join(folder, "flows"), `${flows.join("\n")}\n`);
  await retry(() =>
    run([...env, p.ofctl, "add-flows", `unix:${join(folder, "br0.mgmt")}`, join(folder, "flows")]),
  );
}

/** Sockets are there a moment after the program says that it is. */
async function retry(step: () => Promise<string>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await step();
      return;
    } catch (error) {
      if (tries === READY_TRIES) throw error;
      await sleep(100);
    }
  }
}
