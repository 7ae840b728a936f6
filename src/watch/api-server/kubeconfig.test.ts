// Kubeconfig files as kubectl reads them, what a pod is given, and what is refused by name.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { stringify } from "yaml";
import { CredentialReader } from "./credentials.ts";
import { readAccess, serverText, socketPathOf } from "./kubeconfig.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-kubeconfig-"));
t.teardown(() => rmSync(folder, { recursive: true }));

let files = 0;
function config(of: object): string {
  const file = join(folder, `config${++files}`);
  writeFileSync(file, stringify(of));
  return file;
}

const whole = (cluster: object = {}, user: object = {}) => ({
  ...{ apiVersion: "v1", kind: "Config", "current-context": "home" },
  contexts: [
    { name: "home", context: { cluster: "c", user: "u" } },
    { name: "away", context: { cluster: "c2", user: "u" } },
  ],
  clusters: [
    { name: "c", cluster: { server: "https://10.0.0.1:6443", ...cluster } },
    { name: "c2", cluster: { server: "https://10.0.0.2:6443/k8s" } },
  ],
  users: [{ name: "u", user }],
});
const serversOf = (options: Parameters<typeof readAccess>[0], env = {}): string[] =>
  readAccess(options, env).servers.map((url) => url.href);

t.test("contexts, $KUBECONFIG, several files, other servers", async (t) => {
  const file = config(whole());
  t.same(serversOf({ kubeconfig: file }), ["https://10.0.0.1:6443/"]);
  t.same(serversOf({ kubeconfig: file, context: "away" }), ["https://10.0.0.2:6443/k8s"]);
  t.same(serversOf({}, { KUBECONFIG: file }), ["https://10.0.0.1:6443/"]);
  const over = config({
    "current-context": "away",
    clusters: [{ name: "c2", cluster: { server: "https://10.0.0.9" } }],
  });
  t.same(serversOf({ kubeconfig: `${over}:${file}` }), ["https://10.0.0.9/"], "the first that names it wins");
  t.same(serversOf({ kubeconfig: file, servers: ["https://a:1", "https://b:1"] }), [
    "https://a:1/",
    "https://b:1/",
  ]);
});

t.test("a socket of this machine needs no kubeconfig, and no credentials", async (t) => {
  const servers = ["unix:/run/podwire/a b.sock", "unix:///run/c.sock"];
  const access = readAccess({ servers }, { KUBECONFIG: "/nowhere" });
  t.same(access.servers.map(serverText), ["unix:/run/podwire/a b.sock", "unix:/run/c.sock"]);
  t.same(access.servers.map(socketPathOf), ["/run/podwire/a b.sock", "/run/c.sock"]);
  t.same(await new CredentialReader(access).read(), { headers: {}, tlsKey: "" });
  const wrong = { servers: ["unix:run/c.sock"] };
  t.throws(() => readAccess(wrong, {}), { message: /servers: "unix:run\/c\.sock": give unix: and a path/ });
});

t.test("files are relative to their kubeconfig, data comes before files", async (t) => {
  mkdirSync(join(folder, "pki"));
  writeFileSync(join(folder, "pki/ca.crt"), "CA");
  writeFileSync(join(folder, "pki/key"), "KEY");
  const data = (text: string): string => Buffer.from(text).toString("base64");
  const access = readAccess(
    {
      kubeconfig: config(
        whole(
          { "certificate-authority": "pki/ca.crt", "tls-server-name": "kubernetes" },
          {
            "client-certificate": "pki/none",
            "client-certificate-data": data("CERT"),
            "client-key": "pki/key",
            as: "me",
            "as-groups": ["a", "b"],
          },
        ),
      ),
    },
    {},
  );
  const { ca, cert, key, headers } = await new CredentialReader(access).read();
  t.same([ca, cert, key].map(String), ["CA", "CERT", "KEY"]);
  t.same(headers, { "impersonate-user": "me", "impersonate-group": "a,b" });
  t.equal(access.serverName, "kubernetes");
  writeFileSync(join(folder, "pki/key"), "KEY2");
  t.equal(String((await new CredentialReader(access).read()).key), "KEY2", "renewed under its name");
});

t.test("what a pod is given", async (t) => {
  const account = join(folder, "account");
  mkdirSync(account);
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
  t.throws(() => readAccess({}, env, account), /no kubeconfig, and this is no pod/);
  writeFileSync(join(account, "token"), "abc\n");
  writeFileSync(join(account, "ca.crt"), "CA");
  const access = readAccess({}, env, account);
  t.equal(access.servers[0].href, "https://[fd00::1]:6443/");
  const { headers } = await new CredentialReader(access).read();
  t.same(headers, { authorization: "Bearer abc" });
  const direct = readAccess({ servers: ["https://192.168.1.10:6443"] }, {}, account);
  t.equal(direct.servers[0].host, "192.168.1.10:6443");
});

const refusals: readonly [what: string, of: object, says: RegExp][] = [
  [
    "a proxy",
    whole({ "proxy-url": "http://p" }),
    /cluster "c": proxy-url is not followed: .*: give a server that needs no/,
  ],
  ["no address", whole({ server: "10.0.0.1" }), /cluster "c": server: "10.0.0.1" is not an address such as/],
  ["a password", whole({}, { username: "u", password: "p" }), /user "u": username is not supported/],
  [
    "auth-provider",
    whole({}, { "auth-provider": { name: "gcp" } }),
    /user "u": auth-provider is not supported/,
  ],
  [
    "exec of another version",
    whole({}, { exec: { apiVersion: "v1alpha1", command: "x" } }),
    /exec: apiVersion v1alpha1/,
  ],
  [
    "exec that asks",
    whole(
      {},
      { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "x", interactiveMode: "Always" } },
    ),
    /exec: interactiveMode Always: an agent has nobody to ask/,
  ],
  ["no context", { ...whole(), "current-context": "" }, /no current-context: name one with context/],
  ["an unknown context", { ...whole(), "current-context": "x" }, /no context "x"/],
  ["no user", { ...whole(), users: [] }, /no user "u"/],
  ["a list", [], /not a map with clusters, users and contexts/],
];
for (const [what, of, says] of refusals)
  t.test(`refused: ${what}`, async (t) => {
    t.throws(() => readAccess({ kubeconfig: config(of) }, {}), says);
  });

t.test("refused: files that are not there or no YAML", async (t) => {
  const none = join(folder, "none");
  t.throws(() => readAccess({ kubeconfig: none }, {}), { message: `kubeconfig ${none}: no such file` });
  t.throws(() => readAccess({ kubeconfig: folder }, {}), { message: `kubeconfig ${folder}: is a directory` });
  const file = join(folder, "broken");
  writeFileSync(file, "a: [\n");
  t.throws(() => readAccess({ kubeconfig: file }, {}), /^Error: kubeconfig .*broken: [^\n]+$|broken: /);
  const access = readAccess({ kubeconfig: config(whole({}, { tokenFile: "none" })) }, {});
  await t.rejects(new CredentialReader(access).read(), /^KubeconfigError|token .*none: no such file/);
});

const plugin = async (script: string, over: object = {}): Promise<string> => {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "sh",
    args: ["-c", script],
    ...over,
  };
  const reader = new CredentialReader(readAccess({ kubeconfig: config(whole({}, { exec })) }, {}));
  try {
    return String((await reader.read()).headers.authorization);
  } catch (error) {
    return (error as Error).message;
  }
};
const credential = (status: object): string =>
  JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status });

t.test("credential plug-ins: what they are told, and what they may say", async (t) => {
  const env = [{ name: "EXTRA", value: "x" }];
  const script = `echo '${credential({ token: "$T" })}' | sed "s/[$]T/$EXTRA/"`;
  t.equal(await plugin(script, { env }), "Bearer x");
  const info = 'case "$KUBERNETES_EXEC_INFO" in *10.0.0.1:6443*) exit 1;; *) echo no >&2; exit 2;; esac';
  t.match(await plugin(info, { provideClusterInfo: true }), /failed: 1$/);
  t.match(await plugin(info), /failed: no$/);
  t.match(
    await plugin("", { command: "none-such", installHint: "apt install it\nor not" }),
    /none-such: not found: apt install it$/,
  );
  t.match(await plugin("echo hello"), /its answer is not JSON/);
  t.match(await plugin("echo {}"), /its answer is no ExecCredential of client.authentication.k8s.io\/v1/);
  t.match(await plugin(`echo '${credential({})}'`), /neither a token nor a certificate/);
  t.match(
    await plugin(`echo '${credential({ clientCertificateData: "x" })}'`),
    /of certificate and key it gave one/,
  );
  t.match(
    await plugin(`echo '${credential({ token: "x", expirationTimestamp: "soon" })}'`),
    /soon is no time/,
  );
});
