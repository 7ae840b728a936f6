import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../testing/command-line.ts";
import { askUdp } from "../testing/dns/dns-peer.ts";
import { queryBytes, textOf } from "../testing/dns/dns-text.ts";

const MAIN = join(import.meta.dirname, "main.js");
const MANIFESTS = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: web, image: web }] } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: None, selector: { app: web }, ports: [{ port: 80 }] }
`;
const CONFIG = (port: number, objects: string): string => `
apiVersion: podwire.dev/v1alpha1
kind: DNSConfiguration
zone: corp.test
listen: ["127.0.0.1:${port}"]
source: { files: ["${objects}"] }
forward: none
hosts: [{ ip: 192.0.2.7, hostnames: [db.example] }]
`;

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** Runs while `use` does; how it ended, and what it printed. */
async function running(words: readonly string[], use: () => Promise<void>) {
  const child = spawn(process.execPath, [MAIN, "dns", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (said.stdout += chunk));
  const ready = new Promise<void>((resolve) => {
    child.stderr.on("data", (chunk) => {
      said.stderr += chunk;
      if (said.stderr.includes("dns: ")) resolve();
    });
  });
  const closed = once(child, "close");
  await Promise.race([ready, closed]);
  await use();
  child.kill("SIGTERM");
  const [status] = await closed;
  return { ...said, status };
}

t.test("from manifests, of which it makes what a cluster would", async (t) => {
  const folder = t.testdir({ "shop.yaml": MANIFESTS });
  const port = await freePort();
  const words = [
    "-f",
    join(folder, "shop.yaml"),
    "--listen",
    `127.0.0.1:${port}`,
    "--forward",
    "none",
    "--log",
  ];
  const { stdout, stderr, status } = await running(words, async () => {
    const [head, ...records] = textOf(await askUdp(port, queryBytes("web.shop.svc.cluster.local", "A")));
    t.same([head, records.length], ["NOERROR aa", 2]);
  });
  t.match(stderr, /^dns: cluster\.local on 127\.0\.0\.1:\d+: \d+ services, 2 pods\n$/);
  t.match(stdout, / - 127\.0\.0\.1:\d+ udp A web\.shop\.svc\.cluster\.local NOERROR kubernetes /);
  t.equal(status, 0);
});

t.test("as a configuration says", async (t) => {
  const folder = t.testdir({ "objects.yaml": MANIFESTS });
  const port = await freePort();
  const file = join(folder, "dns.yaml");
  const { writeFile } = await import("node:fs/promises");
  await writeFile(file, CONFIG(port, join(folder, "objects.yaml")));
  const { stderr } = await running(["--config", file], async () => {
    t.same(textOf(await askUdp(port, queryBytes("db.example", "A"))), [
      "NOERROR aa",
      "db.example 5 A 192.0.2.7",
    ]);
    t.match(textOf(await askUdp(port, queryBytes("shop.svc.corp.test", "A")))[0], "NOERROR aa");
  });
  t.match(stderr, /dns: corp\.test on/);
});

t.test("wrong usage is one line that says what to do", async (t) => {
  const podwire = new CommandLine();
  t.teardown(() => podwire.close());
  const folder = t.testdir({ "a.yaml": MANIFESTS, "dns.yaml": CONFIG(1, "x").replace("none", "nobody") });
  const file = join(folder, "a.yaml");
  const cases: readonly (readonly [words: readonly string[], status: number, stderr: RegExp])[] = [
    [["-f", file, "--listen", "localhost:53"], 2, /^error: --listen localhost:53: give IP:port/],
    [
      ["-f", file, "--forward", "example.com"],
      2,
      /^error: --forward example\.com: give ADDR:PORT, none or host/,
    ],
    [["-f", file, "--zone", "A"], 2, /^error: --zone A: a lowercase RFC 1123/],
    [["-f", file, "--metrics", "9153"], 2, /^error: --metrics 9153: give IP:port/],
    [["-f", file, "--kubeconfig", "x"], 2, /^error: -f .*a\.yaml and --kubeconfig: two sources/],
    [["--config", "x", "--log"], 2, /^error: --config and --log: the file says it all/],
    [
      ["--config", join(folder, "dns.yaml")],
      1,
      /forward: Invalid value: "nobody": must be host, none, or servers/,
    ],
    [["-f", join(folder, "none.yaml")], 1, /^error: .*none\.yaml/],
    [["--agent", "x", "-f", file], 2, /podwire dns asks no agent/],
    [["--lab", "no-such-lab"], 1, /^error: lab no-such-lab: not running/],
  ];
  for (const [words, status, stderr] of cases) {
    const said = podwire.run(["dns", ...words]);
    t.match(said, { status, stderr }, words.join(" "));
    t.equal(said.stderr.trimEnd().split("\n").length, 1);
  }
});
