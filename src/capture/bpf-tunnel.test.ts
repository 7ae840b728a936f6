import { spawnSync } from "node:child_process";
import t from "tap";
import { type BpfInstruction, createBpfProgram } from "../base/bpf-program.ts";
import { run } from "../dataplane/trace/bpf.ts";
import { compileFilter } from "./bpf-compile.ts";
import { lookIntoTunnel } from "./bpf-tunnel.ts";

const skip = spawnSync("tcpdump", ["--version"]).error ? "tcpdump is not installed" : false;

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const WEB =
  "0a580af40102 0a580af40101 0800 45000028 00004000 40060000 0af40102 0a600001" +
  "a0280050 0000000100000000 5002ffff00000000";
const ARP = "ffffffffffff 0a580af40102 0806 0001080006040001 0a580af401020af40102 0000000000000af40101";
const outer = (port: string, more = "0000") =>
  `0a580af40202 0a580af40201 0800 45000068 0001${more} 40110000 c0a8320b c0a8320c` +
  `c000${port} 00540000 0800000000000100`;
const FRAMES: Record<string, Uint8Array> = {
  web: bytes(WEB),
  arp: bytes(ARP),
  "web in VXLAN": bytes(outer("2118") + WEB),
  "arp in VXLAN": bytes(outer("2118") + ARP),
  "web in UDP to another port": bytes(outer("2119") + WEB),
  "first fragment of VXLAN": bytes(outer("2118", "2000") + WEB),
  "cut VXLAN": bytes(outer("2118")),
  runt: bytes("0a580af40202 0a58"),
};

t.test("filters see the frame inside as well as the one outside", { skip }, async (t) => {
  const cases: { filter: string; want: string[] }[] = [
    { filter: "tcp port 80", want: ["web", "web in VXLAN"] },
    { filter: "dst host 10.96.0.1", want: ["web", "web in VXLAN"] },
    { filter: "arp", want: ["arp", "arp in VXLAN"] },
    { filter: "tcp[tcpflags] & tcp-syn != 0", want: ["web", "web in VXLAN"] },
    { filter: "ether dst ff:ff:ff:ff:ff:ff", want: ["arp", "arp in VXLAN"] },
    { filter: "udp port 8473", want: ["web in UDP to another port"] },
    { filter: "src host 192.168.50.11 and not udp", want: [] },
  ];
  for (const c of cases) {
    const program = createBpfProgram(lookIntoTunnel(await compileFilter(c.filter), 8472));
    const matched = Object.entries(FRAMES).filter(([, frame]) => {
      return run(program, new DataView(frame.buffer), 0, frame.length, frame.length) !== 0;
    });
    t.same(
      matched.map(([name]) => name),
      c.want,
      c.filter,
    );
  }
});

t.test("whatever the filter picks from bare frames it still picks", { skip }, async (t) => {
  for (const filter of ["", "ip", "udp port 8472", "not tcp", "less 60", "port 80 or arp", "ip6 or vlan"]) {
    const plain = await compileFilter(filter);
    const [before, after] = [createBpfProgram(plain), createBpfProgram(lookIntoTunnel(plain, 8472))];
    for (const [name, frame] of Object.entries(FRAMES)) {
      if (name === "cut VXLAN") continue; // the inner header is missing: no answer is possible
      const view = new DataView(frame.buffer);
      if (run(before, view, 0, frame.length, frame.length) === 0) continue;
      t.ok(run(after, view, 0, frame.length, frame.length) !== 0, `${filter}: ${name}`);
    }
  }
});

t.test("a long filter stays a valid program", async (t) => {
  const load: BpfInstruction = { code: 0x28, jt: 0, jf: 0, k: 12 };
  const no: BpfInstruction = { code: 0x06, jt: 0, jf: 0, k: 0 };
  const program = [...Array(1500).fill(load), no, no];
  t.doesNotThrow(() => createBpfProgram(lookIntoTunnel(program, 8472)));
});
