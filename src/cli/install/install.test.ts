// The manifests of install and uninstall: what is in them, and what is refused before they are printed.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import t from "tap";
import { parseAllDocuments } from "yaml";
import { formatCidr } from "../../base/ip.ts";
import { readAgentFile } from "../../config/read-config.ts";
import { readGatewayFile } from "../../gateway/config.ts";
import { gatewayKinds } from "../../kube/gateway/read-gateway.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import { projectRoot } from "../../testing/tidy/source-tree.ts";
import { CONFLIST } from "./cni-network.ts";
import { gatewayManifests } from "./gateway-manifests.ts";
import { addGateway, gatewayInstallation, refuseGatewayOptions } from "./gateway-options.ts";
import { installManifests } from "./manifests.ts";
import { meshManifests } from "./mesh-manifests.ts";
import { addPlace, addSettings, type InstallFlags, installation } from "./options.ts";
import { uninstallManifests } from "./uninstall-manifests.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-install-"));
const kubeconfig = process.env.KUBECONFIG;
process.env.KUBECONFIG = join(folder, "none");
t.teardown(() => {
  rmSync(folder, { recursive: true });
  if (kubeconfig === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = kubeconfig;
});
const page = (name: string): string => readFileSync(join(projectRoot(), name), "utf8");

// biome-ignore lint/suspicious/noExplicitAny: tests check what they read of it
type Objects = Record<string, any>;

/** What the note on standard error says is not shown. */
function flagsOf(...words: string[]): InstallFlags {
  const quiet = { writeErr: () => {}, outputError: () => {} };
  const command = addSettings(addPlace(new Command().exitOverride().configureOutput(quiet)));
  return command.parse(words, { from: "user" }).opts();
}

function quietly<T>(work: () => T): { result: T; said: string } {
  let said = "";
  const write = process.stderr.write;
  process.stderr.write = ((text: string) => {
    said += text;
    return true;
  }) as typeof process.stderr.write;
  try {
    return { result: work(), said };
  } finally {
    process.stderr.write = write;
  }
}

const install = (...words: string[]): string =>
  quietly(() => installManifests(installation(flagsOf(...words)))).result;
const objectsOf = (text: string): Objects =>
  Object.fromEntries(parseAllDocuments(text, { uniqueKeys: true }).map((d) => [d.get("kind"), d.toJS()]));
const configOf = (objects: Objects): string => objects.ConfigMap.data["agent.yaml"];

t.test("without options it is deploy/podwire.yaml", async (t) => {
  t.equal(install(), page("deploy/podwire.yaml"));
});

t.test("an agent reads its configuration, a runtime its network", async (t) => {
  const { ConfigMap } = objectsOf(install());
  const config = readAgentFile({ file: "x", text: ConfigMap.data["agent.yaml"] }, undefined, { told: "n1" });
  t.match(config, { nodeName: "n1", uplink: { mode: "shared" }, source: { kubernetes: {} } });
  t.equal(config.cni?.leaseFile, "/var/lib/podwire/n1.leases.json");
  t.equal(ConfigMap.data["podwire.conflist"], CONFLIST);
});

t.test("podwire's own kinds take the workload and its namespace", async (t) => {
  for (const text of [install(), uninstallManifests(flagsOf())]) {
    const passed = { add: () => {} } as never;
    const kinds = parseManifests([{ file: "x", text }], { passed }).map(({ object }) => object.kind);
    t.ok(kinds.includes("DaemonSet"), kinds.join());
  }
});

t.test("the role is the one of the page, and is bound to the account that the agent has", async (t) => {
  const { ServiceAccount, ClusterRole, ClusterRoleBinding, DaemonSet } = objectsOf(install());
  const [, shown = ""] = /```yaml\n(apiVersion: rbac[\s\S]*?)```/.exec(page("docs/cluster.md")) ?? [];
  t.same(ClusterRole, parseAllDocuments(shown)[0].toJS());
  const { name, namespace } = ServiceAccount.metadata;
  t.same(ClusterRoleBinding.subjects, [{ kind: "ServiceAccount", name, namespace }]);
  t.equal(ClusterRoleBinding.roleRef.name, ClusterRole.metadata.name);
  t.same([DaemonSet.spec.template.spec.serviceAccountName, DaemonSet.metadata.namespace], [name, namespace]);
});

t.test("what a pod mounts is there, in both manifests", async (t) => {
  for (const text of [install(), uninstallManifests(flagsOf())]) {
    const { spec } = objectsOf(text).DaemonSet.spec.template;
    const volumes = spec.volumes.map(({ name }: Objects) => name);
    const mounted = [...spec.initContainers, ...spec.containers].flatMap(({ volumeMounts = [] }) =>
      volumeMounts.map(({ name }: Objects) => name),
    );
    t.same([...new Set(mounted)].sort(), volumes.sort());
  }
});

t.test("what clusters differ by", async (t) => {
  const objects = objectsOf(
    install(
      ...[
        "--namespace",
        "kube-system",
        "--image",
        "registry.example:5000/net/podwire:1.2",
        "--vxlan-port",
        "4789",
      ],
      ...[
        "--pod-cidr",
        "10.42.0.0/16,fd00:42::/56",
        "--service-cidr",
        "10.43.0.0/16",
        "--proxy-mode",
        "nftables",
      ],
      ...["--api-server", "https://192.168.1.10:6443", "--api-server", "https://[fd00::1]:6443/"],
      ...["--cni-bin-dir", "/usr/lib/cni", "--node-ports", "20000-20999"],
    ),
  );
  t.equal(objects.Namespace, undefined, "it is there already");
  t.equal(objects.DaemonSet.metadata.namespace, "kube-system");
  const config = readAgentFile({ file: "x", text: configOf(objects) });
  t.same(config.clusterCidrs.map(formatCidr), ["10.42.0.0/16", "fd00:42::/56"]);
  t.match(config, { overlay: { port: 4789 }, proxy: { mode: "nftables" }, nodePortRange: { first: 20_000 } });
  t.same(config.source, { kubernetes: { servers: ["https://192.168.1.10:6443", "https://[fd00::1]:6443"] } });
  const { spec } = objects.DaemonSet.spec.template;
  t.equal(spec.containers[0].image, "registry.example:5000/net/podwire:1.2");
  t.match(
    spec.volumes.find(({ name }: Objects) => name === "cni-bin"),
    { hostPath: { path: "/usr/lib/cni" } },
  );
});

t.test("another configuration makes other pods, and probes ask where it is healthy", async (t) => {
  const template = (...words: string[]) => objectsOf(install(...words)).DaemonSet.spec.template;
  const hash = (...words: string[]) => template(...words).metadata.annotations["podwire.dev/configuration"];
  t.equal(hash(), hash("--image", "localhost/podwire:2"));
  t.not(hash(), hash("--vni", "7"));
  const file = join(folder, "agent.yaml");
  const own = (line: string): string => {
    writeFileSync(file, configOf(objectsOf(install())) + line);
    return file;
  };
  const moved = template("--config", own('proxy: { healthzBindAddress: "0.0.0.0:7000" }\n'));
  t.equal(moved.spec.containers[0].livenessProbe.httpGet.port, 7000);
  t.equal(template().spec.containers[0].readinessProbe.httpGet.port, 10_256);
  const silent = template("--config", own('proxy: { healthzBindAddress: "" }\n'));
  t.equal(silent.spec.containers[0].startupProbe, undefined, "nobody would answer");
  const refused: [string, string[], RegExp][] = [
    ["nodeName: a\n", [], /is told its node's name: leave nodeName out/],
    ["", ["--vni", "7"], /^--vni beside --config: the file has its own setting/],
    ["", ["--api-server", "https://192.168.1.10"], /^--api-server beside --config/],
    ["moed: 1\n", [], /unknown field "moed"/],
  ];
  for (const [line, words, message] of refused) {
    const given = own(line);
    t.throws(() => quietly(() => installation(flagsOf("--config", given, ...words))), { message });
  }
  writeFileSync(file, configOf(objectsOf(install())).replace("cni: {}", ""));
  t.throws(() => quietly(() => installation(flagsOf("--config", file))), {
    message: /gives pods their network/,
  });
});

t.test("what no cluster would take is refused before it is printed", async (t) => {
  const words: string[][] = [
    ["--namespace", "Kube_System"],
    ["--image", "has a blank"],
    ["--cni-bin-dir", "opt/cni"],
    ["--api-server", "https://127.0.0.1:6443"],
    ["--api-server", "192.168.1.10:6443"],
    ["--api-server", "https://user:secret@192.168.1.10:6443"],
    ["--api-server", "https://192.168.1.10:6443/?timeout=1s"],
    ["--api-server", "https://192.168.1.10:6443/path"],
    ["--cni-conf-dir", "/etc/../opt"],
    ["--pod-cidr", "10.244.0.1/16"],
    ["--pod-cidr", "10.244.0.0/16,10.245.0.0/16"],
    ["--vxlan-port", "none"],
    ["--proxy-mode", "fast"],
    ["--overlay", "none", "--vni", "1"],
    ["--overlay", "gre"],
    ["--node-ports", "many } #"],
  ];
  for (const each of words) t.throws(() => quietly(() => installation(flagsOf(...each))), each.join(" "));
});

t.test("a value that no agent takes is wrong usage, told by its option", async (t) => {
  const wrong = ["--pod-cidr foo", "--service-cidr 10.96.0.1/12", "--overlay gre", "--vxlan-port 70000"];
  for (const each of [...wrong, "--vni 16777216", "--proxy-mode fast", "--node-ports 30000"]) {
    const words = each.split(" ");
    const message = new RegExp(`^${words[0]}: .*: see podwire install --help$`);
    t.throws(() => quietly(() => installation(flagsOf(...words))), { message, exitCode: 2 }, each);
  }
});

t.test(
  "a server that nodes reach by podwire alone is refused, and pods' ranges among services'",
  async (t) => {
    const ours = /which nodes reach by their agents alone: --api-server/;
    const cases: [words: string, message: RegExp][] = [
      [
        "--api-server https://10.96.0.1",
        /^--api-server: https:\/\/10\.96\.0\.1 is of 10\.96\.0\.0\/12, services' or pods'/,
      ],
      ["--api-server https://192.168.1.10:6443 --api-server https://10.244.3.4:6443", ours],
      [
        "--pod-cidr 10.244.0.0/16,fd00:1::/56 --service-cidr 10.96.0.0/12,fd00:2::/112 --api-server https://[fd00:2::1]",
        ours,
      ],
      [
        "--api-server https://kubernetes.default.svc",
        /^--api-server: https:\/\/kubernetes\.default\.svc is a Service's name, /,
      ],
      ["--api-server https://kubernetes.default.svc.cluster.local:443", ours],
      [
        "--pod-cidr 10.0.0.0/8",
        /^--service-cidr: .*must not overlap clusterCIDR, 10\.0\.0\.0\/8: see podwire install --help$/,
      ],
    ];
    for (const [words, message] of cases) {
      const flags = flagsOf(...words.split(" "));
      t.throws(() => quietly(() => installation(flags)), { message, exitCode: 2 }, words);
    }
    const file = join(folder, "served.yaml");
    const servers = (url: string) =>
      writeFileSync(
        file,
        configOf(objectsOf(install())).replace("kubernetes: {}", `kubernetes: { servers: [ "${url}" ] }`),
      );
    servers("https://10.96.0.1");
    t.throws(() => quietly(() => installation(flagsOf("--config", file))), { message: ours });
    servers("10.0.0.1:6443");
    const message = /served\.yaml: source\.kubernetes\.servers: "10\.0\.0\.1:6443" is not an address such as/;
    t.throws(() => quietly(() => installation(flagsOf("--config", file))), { message });
  },
);

t.test("the API server is the one that kubectl asks, if nodes can ask it too", async (t) => {
  const file = join(folder, "config");
  const serversBy = (server: string) => {
    const cluster = { name: "c", cluster: { server } };
    const context = { name: "x", context: { cluster: "c", user: "u" } };
    const users = [{ name: "u", user: {} }];
    writeFileSync(
      file,
      JSON.stringify({ clusters: [cluster], contexts: [context], users, "current-context": "x" }),
    );
    process.env.KUBECONFIG = file;
    const { result, said } = quietly(() => installManifests(installation(flagsOf())));
    process.env.KUBECONFIG = join(folder, "none");
    return { said, source: readAgentFile({ file: "x", text: configOf(objectsOf(result)) }).source };
  };
  t.match(serversBy("https://192.168.70.1:6443"), {
    said: /^note: agents reach the API server at https:\/\/192\.168\.70\.1:6443, as your kubeconfig does: --api-server/,
    source: { kubernetes: { servers: ["https://192.168.70.1:6443"] } },
  });
  t.throws(() => serversBy("https://10.96.0.1"), {
    message: /^your kubeconfig: https:\/\/10\.96\.0\.1 is of /,
  });
  process.env.KUBECONFIG = join(folder, "none");
  const local = serversBy("https://127.0.0.1:6443");
  t.same(local.source, { kubernetes: {} });
  t.match(
    local.said,
    /^note: https:\/\/127\.0\.0\.1:6443 of your kubeconfig is this machine's alone: agents ask KUBERNETES/,
  );
});

t.test(
  "a mesh's proxies are objects that an API server takes, with an account that may ask for certificates",
  async (t) => {
    const text = meshManifests("registry.example/podwire:0.1.0");
    const objects = objectsOf(text);
    t.same(
      parseManifests([{ file: "mesh.yaml", text }], { carries: true }).map(({ object }) => object.kind),
      ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"],
    );
    const { template } = objects.DaemonSet.spec;
    t.equal(template.spec.containers[0].image, "registry.example/podwire:0.1.0");
    t.equal(template.spec.serviceAccountName, objects.ServiceAccount.metadata.name);
    t.same(objects.ClusterRole.rules.at(-1).verbs, ["create", "get"]);
    t.same(template.spec.volumes[1].configMap, { name: "podwire-mesh-ca" });
  },
);

t.test("the image has what its launcher runs", async (t) => {
  const [, programs = ""] = /^programs=\((.*)\)$/m.exec(page("scripts/image")) ?? [];
  const [, launcher = ""] = /<<SH\n([\s\S]*?)\nSH$/m.exec(page("scripts/package/lay-out")) ?? [];
  const run = [...launcher.matchAll(/\$\((\w+)\)/g)].map(([, name]) => name);
  t.same(run, ["nproc"]);
  t.same(
    run.filter((name) => !programs.split(" ").includes(name)),
    [],
  );
});

t.test("systemd does not give up an agent that cannot start yet", async (t) => {
  const unit = page("scripts/package/debian/podwire-agent.service");
  const [, head = "", rest = ""] = /^\[Unit\]\n([\s\S]*)\[Service\]\n([\s\S]*)$/m.exec(unit) ?? [];
  // Otherwise it does after five starts within ten seconds.
  t.match(head, /^StartLimitIntervalSec=0$/m);
  t.match(rest, /^Restart=always$/m);
});

function gatewayCommand(...words: string[]): Command {
  const quiet = { writeErr: () => {}, outputError: () => {} };
  const bare = new Command().exitOverride().configureOutput(quiet);
  return addGateway(addSettings(addPlace(bare))).parse(words, { from: "user" });
}

function gatewayManifestsOf(...words: string[]): string {
  const command = gatewayCommand("--gateway", ...words);
  return gatewayManifests(gatewayInstallation(command.opts(), command));
}

t.test(
  "the gateway's manifests are deploy/gateway.yaml, and a gateway reads their configuration",
  async (t) => {
    t.equal(gatewayManifestsOf(), page("deploy/gateway.yaml"));
    const objects = objectsOf(gatewayManifestsOf());
    const config = readGatewayFile({ file: "x", text: objects.ConfigMap.data["gateway.yaml"] });
    t.match(config, {
      ...{
        source: { kubernetes: {} },
        ingress: { http: 80, https: 443 },
        gateways: "all",
        metrics: { port: 9153 },
      },
      status: { service: "podwire-gateway/podwire-gateway" },
    });
    const { spec } = objects.Deployment.spec.template;
    t.ok(spec.terminationGracePeriodSeconds > config.drainSec, "what is under way has its time");
    const passed = { add: () => {} } as never;
    const options = { passed, carries: true, customKinds: gatewayKinds };
    const kinds = parseManifests([{ file: "x", text: gatewayManifestsOf() }], options).map(
      ({ object }) => object.kind,
    );
    for (const kind of ["Deployment", "Service", "IngressClass", "GatewayClass"])
      t.ok(kinds.includes(kind), kind);
  },
);

t.test("the gateway's accounts: role and Lease are bound to it, in its namespace", async (t) => {
  const { ServiceAccount, ClusterRoleBinding, RoleBinding, Role, Deployment } = objectsOf(
    gatewayManifestsOf("--namespace", "edge"),
  );
  const { name, namespace } = ServiceAccount.metadata;
  t.equal(namespace, "edge");
  for (const { subjects } of [ClusterRoleBinding, RoleBinding])
    t.same(subjects, [{ kind: "ServiceAccount", name, namespace }]);
  t.same([Role.metadata.namespace, Deployment.metadata.namespace], ["edge", "edge"]);
  t.equal(Deployment.spec.template.spec.serviceAccountName, name);
});

t.test("what clusters' gateways differ by", async (t) => {
  const words = ["--replicas", "3", "--service-type", "NodePort", "--ports", "80,443,8443", "--ingress-only"];
  const objects = objectsOf(gatewayManifestsOf(...words, "--image", "registry.example/podwire:2"));
  t.equal(objects.Deployment.spec.replicas, 3);
  t.equal(objects.Deployment.spec.template.spec.containers[0].image, "registry.example/podwire:2");
  t.match(objects.Service.spec, { type: "NodePort", ports: [{ port: 80 }, { port: 443 }, { port: 8443 }] });
  t.equal(objects.GatewayClass, undefined);
  t.notMatch(JSON.stringify(objects.ClusterRole), /gateway\.networking/, "nor may it ask");
  t.notMatch(readGatewayFile({ file: "x", text: objects.ConfigMap.data["gateway.yaml"] }).gateways, ["all"]);
  const config = (...more: string[]) =>
    objectsOf(gatewayManifestsOf(...more)).Deployment.spec.template.metadata;
  t.not(
    JSON.stringify(config("--ingress-only")),
    JSON.stringify(config()),
    "another configuration makes other pods",
  );
});

t.test("options of agents and of gateways are not mixed, and wrong ones not printed", async (t) => {
  t.throws(() => gatewayManifestsOf("--pod-cidr", "10.0.0.0/8"), {
    message: /^--pod-cidr is of agents/,
    exitCode: 2,
  });
  t.throws(() => gatewayManifestsOf("--cni-bin-dir", "/x"), { message: /^--cni-bin-dir is of agents/ });
  const alone = { message: /^--ports is a gateway's: give --gateway as well/, exitCode: 2 };
  t.throws(() => refuseGatewayOptions(gatewayCommand("--ports", "80")), alone);
  for (const words of [
    "--replicas 0",
    "--ports 80,80",
    "--ports none",
    "--ports 70000",
    "--service-type ClusterIP",
  ])
    t.throws(() => gatewayManifestsOf(...words.split(" ")), words);
});
