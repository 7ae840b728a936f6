// podwire conntrack beside an agent that is only its socket: -C and -F as conntrack(8) has them.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const TEXT = `
apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: node1
clusterCIDR: 10.244.0.0/16
serviceCIDR: 10.96.0.0/12
overlay: { type: none }
uplink: { interface: eth1 }
host: { interface: host0 }
socket: /run/podwire/agent.sock
source: { files: [/etc/podwire/manifests] }
`;
const ANSWERS: Record<string, unknown> = {
  "/status": { node: "node1", pid: process.pid },
  "/config": { file: "/etc/podwire/agent.yaml", text: TEXT },
  "/objects/nodes": { items: [] },
  "/objects/pods": { items: [] },
  "/conntrack/count": { count: 17, max: 262_144 },
  "DELETE /conntrack": { items: [] },
  "DELETE /conntrack?family=ipv6": { items: [] },
};

const dir = mkdtempSync(join(tmpdir(), "podwire-conntrack-"));
const socket = join(dir, "agent.sock");
const asked: string[] = [];
const server = createServer(({ method, url }, response) => {
  const call = method === "GET" ? `${url}` : `${method} ${url}`;
  asked.push(call);
  response.writeHead(call in ANSWERS ? 200 : 404);
  response.end(JSON.stringify(ANSWERS[call] ?? { error: "no such call" }));
});
await new Promise<void>((resolve) => server.listen(socket, resolve));
const commandLine = new CommandLine({ PODWIRE_LAB: "" });
t.teardown(async () => {
  await commandLine.close();
  server.close();
  server.closeAllConnections();
  rmSync(dir, { recursive: true });
});

const conntrack = (...args: string[]) => commandLine.runBeside(["--agent", socket, "conntrack", ...args]);

t.test("-C prints the number alone, count a table", async (t) => {
  for (const words of ["-C", "--count", "-C conntrack", "count --total", "count --node node1"])
    t.same(await conntrack(...words.split(" ")), { status: 0, stdout: "17\n", stderr: "" }, words);
  const { stdout } = await conntrack("count");
  t.match(stdout, /^NODE +COUNT +MAX\nnode1 +17 +262144\n$/);
});

t.test("-F empties the table, says so, and shows nothing", async (t) => {
  const done = {
    status: 0,
    stdout: "",
    stderr: "podwire conntrack: connection tracking table has been emptied.\n",
  };
  for (const words of ["-F", "--flush", "flush", "-F conntrack"]) {
    asked.length = 0;
    t.same(await conntrack(...words.split(" ")), done, words);
    t.same(asked.at(-1), "DELETE /conntrack");
  }
  t.same(await conntrack("-F", "-f", "ipv6"), done);
  t.same(asked.at(-1), "DELETE /conntrack?family=ipv6");
  asked.length = 0;
  for (const words of ["-F -p tcp", "-F expect", "-F -f ipx", "-F -D"]) {
    const { status, stderr } = await conntrack(...words.split(" "));
    t.equal(status, 2, words);
    t.match(stderr, /^error: [^\n]+\n$/, words);
  }
  t.same(asked, [], "and nobody is asked");
});
