// `podwire mesh` in a pod of its own, with a router in place of the plane that gives it what comes from a client and from
// a server: connections to any address and port are taken, and the server sees the client's address. Both families.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Authority } from "../../src/testing/l7/authority.ts";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { run, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";

const ENDS = [
  { name: "client", number: 1, account: "web" },
  { name: "server", number: 2, account: "api" },
  { name: "proxy", number: 3, account: "podwire-mesh" },
];
const SERVER =
  "require('node:net').createServer({allowHalfOpen:true},s=>{let n=0;s.on('data',d=>n+=d.length);" +
  "s.on('end',()=>s.end(s.remoteAddress+' said '+n))}).listen(8080,'::',()=>console.log('up'))";

function connectAll(spaces: Namespaces): void {
  spaces.add("router", ...ENDS.map(({ name }) => name));
  for (const { name, number } of ENDS) {
    const device = `${name[0]}0`;
    spaces.ip("router", `link add ${device} type veth peer name eth0 netns ${spaces.nameOf(name)}`);
    spaces.ip("router", `addr add 10.7.${number}.1/24 dev ${device}`);
    spaces.ip("router", `addr add fd07:${number}::1/64 dev ${device} nodad`);
    spaces.ip("router", `link set ${device} up`);
    spaces.ip(name, `addr add 10.7.${number}.2/24 dev eth0`);
    spaces.ip(name, `addr add fd07:${number}::2/64 dev eth0 nodad`);
    spaces.ip(name, "link set eth0 up");
    spaces.ip(name, `route add default via 10.7.${number}.1`);
    spaces.ip(name, `-6 route add default via fd07:${number}::1`);
  }
  for (const by of ["-4", "-6"]) {
    for (const device of ["c0", "s0"]) spaces.ip("router", `${by} rule add pref 100 iif ${device} lookup 10`);
    const proxy = by === "-4" ? "10.7.3.2" : "fd07:3::2";
    spaces.ip("router", `${by} route add default via ${proxy} dev p0 table 10`);
  }
}

function manifests(): string {
  const pods = ENDS.map(({ name, number, account }) => {
    const ips = [`10.7.${number}.2`, `fd07:${number}::2`];
    return {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "shop", labels: { app: name } } },
      spec: { nodeName: "node1", serviceAccountName: account, containers: [{ name: "main", image: "x" }] },
      status: { phase: "Running", podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
    };
  });
  const labels = { "podwire.dev/mesh": "enabled" };
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels } };
  return [namespace, ...pods].map((each) => JSON.stringify(each)).join("\n---\n");
}

const POLICY = JSON.stringify({
  ...{
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "no", namespace: "shop" },
  },
  spec: { action: "DENY", rules: [{ to: [{ operation: { ports: ["8080"] } }] }] },
});

const skip = cannotRun("ip", "nft", "curl", "sysctl");
t.test("a proxy in a pod", { skip, timeout: 120_000 }, async (t) => {
  const spaces = new Namespaces("pwt-mesh-pod");
  t.teardown(() => spaces.remove());
  connectAll(spaces);
  const sysctl =
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0";
  await run(spaces.command("router", sysctl));
  const authority = await Authority.make("mesh");
  const directory = t.testdir({ "ca.crt": authority.cert, objects: { "all.yaml": manifests() } });
  const config = {
    ...{ source: { files: [join(directory, "objects")] }, nodeName: "node1", metrics: { port: 15020 } },
    ...{ identities: { directory }, accessLog: { file: join(directory, "log") } },
  };
  writeFileSync(join(directory, "config.yaml"), JSON.stringify(config));
  const server = await start([...spaces.command("server", process.execPath), "-e", SERVER], /up/);
  t.teardown(() => server.stop());
  const file = join(directory, "config.yaml");
  const proxy = await start(
    spaces.command("proxy", `${PODWIRE} mesh --config ${file}`),
    /connections of pods by eth0/,
  );
  t.teardown(() => proxy.stop("SIGKILL"));
  const ask = (url: string) => run(spaces.command("proxy", `curl -sS -g --max-time 5 ${url}`));
  await until("it is ready", async () => (await ask("http://127.0.0.1:15020/readyz")).stdout === "ok\n");
  const say = (host: string, port = 8080, bytes = 100_000) =>
    run([
      ...spaces.command("client", process.execPath),
      "-e",
      `const s=require('node:net').connect({host:'${host}',port:${port},allowHalfOpen:true},` +
        `()=>s.end(Buffer.alloc(${bytes})));` +
        "s.on('data',d=>process.stdout.write(d));s.on('error',e=>process.stdout.write(e.code))",
    ]);

  t.equal((await say("10.7.2.2")).stdout, "::ffff:10.7.1.2 said 100000");
  t.equal((await say("fd07:2::2")).stdout, "fd07:1::2 said 100000");
  t.equal((await say("10.7.2.2", 8081)).stdout, "ECONNRESET", "nobody listens there");
  t.equal((await say("10.7.3.2", 15020, 0)).stdout, "", "what is for the proxy itself comes to it");
  writeFileSync(join(directory, "objects", "policy.yaml"), POLICY);
  await until("a policy that comes is held to", async () => (await say("10.7.2.2")).stdout === "ECONNRESET");
  t.match(
    (await ask("http://127.0.0.1:15020/metrics")).stdout,
    /refused_total\{side="local",reason="policy"\} [1-9]/,
  );
  await proxy.stop();
  for (const by of ["-4", "-6"])
    t.notMatch(spaces.ip("proxy", `${by} rule`), "15001", "nothing is left of it");
});
