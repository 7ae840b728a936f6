// FTP with real curl: active and passive, to a ClusterIP, to a node port from outside, and out of the cluster.
// A data connection only comes about when the announced address was translated and the connection expected.
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod } from "../../src/testing/lab/objects.ts";

const skip = cannotRun("curl");
const SERVER = join(import.meta.dirname, "../support/ftp-server.js");
const TEXT = "a line of text, fetched by FTP";
const NODE_PORT = 30_021;
const serve = [process.execPath, SERVER, "21", TEXT];

/** curl's ways to ask for a data connection. It believes the address in a 227 only when told to. */
const WAYS = {
  EPSV: [],
  PASV: ["--disable-epsv", "--no-ftp-skip-pasv-ip"],
  EPRT: ["--ftp-port", "-"],
  PORT: ["--ftp-port", "-", "--disable-eprt"],
};

const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "ftp", namespace: "default" },
  spec: {
    type: "NodePort",
    ipFamilyPolicy: "RequireDualStack",
    selector: { app: "ftp" },
    ports: [{ name: "ftp", protocol: "TCP", port: 21, targetPort: 21, nodePort: NODE_PORT }],
  },
};

t.test("FTP through translation", { skip }, async (t) => {
  const lab = await TestLab.up("ftp", {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    conntrack: { helpers: ["ftp"] },
    objects: [client("client-1", "node1"), pod("ftp-1", "node2", { app: "ftp", command: serve }), service],
  });
  t.teardown(() => lab.down());
  const fetch = async (from: string, host: string, way: keyof typeof WAYS, port = 21): Promise<string> => {
    const curl = ["curl", "-sS", "--connect-timeout", "3", "--max-time", "5", ...WAYS[way]];
    const result = await lab.exec(from, [...curl, `ftp://${host}:${port}/file`]);
    return result.status === 0 ? result.stdout : `${way} ${host}: ${result.stderr}`;
  };
  const ways = Object.keys(WAYS) as (keyof typeof WAYS)[];
  const { clusterIPs } = (await lab.json("get", "services", "ftp")).spec;

  await t.test("a pod to a ClusterIP on the other node", async (t) => {
    for (const way of ways) t.equal(await fetch("client-1", clusterIPs[0], way), TEXT, way);
    for (const way of ["EPSV", "EPRT"] as const)
      t.equal(await fetch("client-1", `[${clusterIPs[1]}]`, way), TEXT, `${way} over IPv6`);
  });
  await t.test("somebody outside to a node port of either node", async (t) => {
    for (const way of ways)
      t.equal(await fetch("client/outside", "192.168.50.11", way, NODE_PORT), TEXT, way);
    t.equal(await fetch("client/outside", "192.168.50.12", "PASV", NODE_PORT), TEXT, "where the pod is");
  });
  await t.test("a pod, masqueraded, to a server outside", async (t) => {
    await lab.startIn("client/outside", serve, /listening/);
    for (const way of ways) t.equal(await fetch("client-1", "192.168.50.100", way), TEXT, way);
  });
  await t.test("conntrack knows the data connections", async (t) => {
    const drops = await lab.output(["show", "drops"]);
    t.notMatch(drops, /HELPER_INCOMPLETE/);
    const counters = await lab.output(["show", "counters"]);
    t.match(counters, /ct_expected +[1-9]/);
  });
});
