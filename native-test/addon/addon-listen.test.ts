// Listening sockets in another network namespace: only who is there can connect, two namespaces do not clash.
import { createServer, type Server } from "node:http";
import t from "tap";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";
import { native } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const PORT = 18_099;
const EADDRINUSE = -98;
const env = { LD_PRELOAD: "" }; // curl hangs under the sanitizer that this test may run with

const skip = cannotRun("curl", "ip");
t.test("listening in a namespace", { skip }, async (t) => {
  const spaces = new Namespaces("pwt-native-listen");
  spaces.add("a", "b");
  const servers: Server[] = [];
  t.teardown(() => {
    for (const server of servers) server.close();
    spaces.remove();
  });
  const serve = async (netns: string, address: string, text: string): Promise<number> => {
    const fd = native.listenTcp(netns, address, PORT, 16);
    if (fd < 0) return fd;
    const server = createServer((_, response) => response.end(text));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen({ fd }, resolve));
    return fd;
  };
  const get = (space: string, host: string) =>
    run(spaces.command(space, `curl -sS -g --max-time 5 http://${host}:${PORT}/`), { env });

  t.test("one port in two namespaces is two servers", async (t) => {
    t.ok((await serve(spaces.path("a"), "::", "from a")) >= 0);
    t.ok((await serve(spaces.path("b"), "127.0.0.1", "from b")) >= 0);
    t.equal((await get("a", "127.0.0.1")).stdout, "from a");
    t.equal((await get("b", "127.0.0.1")).stdout, "from b");
    t.equal((await get("a", "[::1]")).stdout, "from a", ":: takes both families");
    t.equal((await get("b", "[::1]")).status, 7, "127.0.0.1 is one address");
    t.equal((await run(["curl", "-sS", "--max-time", "5", `http://127.0.0.1:${PORT}/`], { env })).status, 7);
  });

  t.test("a port in use is an error, and the thread is back where it was", async (t) => {
    t.equal(await serve(spaces.path("a"), "::", "again"), EADDRINUSE);
    const info = new Int32Array(5);
    t.equal(native.ifInfo("", "eth0", info) >= 0 || native.ifInfo("", "lo", info) >= 0, true);
    const own = native.listenTcp("", "127.0.0.1", PORT, 1);
    t.ok(own >= 0, "this namespace's port is free");
    native.closeFd(own);
  });
});
