// Objects change while traffic flows: established connections go on, new ones see the change at once.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service, standardObjects, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { ask } from "../support/service-scenario.ts";

const TICKS = 80;
/** Opens one connection, sends a line every 50 ms, prints every echo, ends with "done" when all came back. */
const TALKER = `
const socket = require("node:net").connect(80, process.argv[1]);
let sent = 0, text = "";
const tick = setInterval(() => {
  socket.write("tick " + sent + "\\n");
  if (++sent === ${TICKS}) clearInterval(tick);
}, 50);
socket.on("data", (bytes) => {
  text += bytes;
  if (text.includes("tick 0")) console.log("talking");
  if (text.includes("tick ${TICKS - 1}\\n")) { console.log("done"); process.exit(0); }
});
socket.on("error", (error) => { console.log("broken", error.code); process.exit(1); });
socket.on("close", () => { console.log("closed"); process.exit(1); });
setTimeout(() => { console.log("silent"); process.exit(1); }, 20000);
`;

const skip = cannotRun("curl", "socat");
t.test("changes under traffic", { skip }, async (t) => {
  const lab = await TestLab.up("update", { objects: standardObjects() });
  t.teardown(() => lab.down());
  const address = await lab.clusterIP("web");
  const url = `http://${address}`;
  const nobody = { selector: { app: "nobody" }, clusterIP: address };
  const refuse = (from: string) => lab.exec(from, ["curl", "-sS", "--max-time", "5", url]);

  t.test("a connection outlives its Service's endpoints, a new one is refused at once", async (t) => {
    const talker = await lab.startIn("client-1", ["node", "-e", TALKER, address], /talking/);
    await lab.apply(service("web", nobody));
    const begin = Date.now();
    const refused = await refuse("client-1");
    t.equal(refused.status, 7, "connection refused, as kube-proxy's REJECT makes it");
    t.ok(Date.now() - begin < 2000, "no waiting for a timeout");
    await lab.apply(service("web", { clusterIP: address }));
    t.equal((await ask(lab, "client-1", url, 20)).length, 20, "back at once");
    await talker.ended;
    t.match(talker.output(), /done/);
  });

  t.test("a new Service answers the first request after apply", async (t) => {
    for (let i = 0; i < 5; i++) {
      const name = `new-${i}`;
      const ports = [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080 }];
      await lab.apply(service(name, { type: "ClusterIP", selector: { app: "web" }, ports }));
      const answers = await ask(lab, "client-2", `http://${await lab.clusterIP(name)}`, 1);
      t.equal(answers.length, 1);
    }
  });

  t.test("a new pod becomes an endpoint, a deleted one gets nothing more", async (t) => {
    const probe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
    await lab.apply(pod("web-3", "node2", { app: "web", readinessProbe: probe }));
    const podsSeen = async () => new Set((await ask(lab, "client-1", url, 60)).map((a) => a.pod));
    let seen = await podsSeen();
    for (let tries = 0; tries < 20 && !seen.has("web-3"); tries++) seen = await podsSeen();
    t.ok(seen.has("web-3"), "web-3 answers");
    await lab.output(["delete", "pod", "web-3"]);
    t.notOk((await podsSeen()).has("web-3"), "web-3 is gone");
  });

  t.test("UDP from one socket moves to a living endpoint when its own is gone", async (t) => {
    await lab.apply(pod("short-1", "node2", { app: "short" }), pod("short-2", "node1", { app: "short" }));
    const ports = [{ name: "udp", protocol: "UDP", port: UDP_PORT, targetPort: UDP_PORT }];
    await lab.apply(service("short", { type: "ClusterIP", ports }));
    const target = await lab.clusterIP("short");
    const once = async () => {
      const socat = ["socat", "-t1", "-", `UDP4:${target}:${UDP_PORT},sourceport=45000,reuseaddr`];
      const { stdout } = await lab.exec("client-1", socat, { input: "who" });
      return stdout === "" ? "nobody" : JSON.parse(stdout).pod;
    };
    const first = await once();
    t.match(first, /^short-/);
    t.equal(await once(), first, "one flow keeps its endpoint");
    await lab.output(["delete", "pod", first]);
    t.equal(await once(), first === "short-1" ? "short-2" : "short-1", "no black hole");
  });

  t.test("an object applied twice changes nothing", async (t) => {
    await lab.apply(client("client-1", "node1"));
    t.equal((await ask(lab, "client-1", url, 5)).length, 5);
  });
});
