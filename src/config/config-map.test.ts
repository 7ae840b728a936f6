// kubeadm's ConfigMap as --config: what it says, and what is wrong in it with the ConfigMap's own lines.
import { readFileSync } from "node:fs";
import t from "tap";
import { formatCidr } from "../base/ip.ts";
import { readProxyFile } from "./read-config.ts";

const FILE = "src/config/testdata/kube-proxy-configmap.yaml";
const KUBEADM = readFileSync(FILE, "utf8");
const CONFIG = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n";

const read = (text: string) => readProxyFile({ file: "cm.yaml", text });
const refusal = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};
/** Line and column at which a word stands in a text, as problems name them. */
const placeOf = (text: string, word: string): string => {
  const before = text.slice(0, text.indexOf(word)).split("\n");
  return `cm.yaml:${before.length}:${(before.at(-1) as string).length + 1}: document 1: ConfigMap "kube-proxy": `;
};

t.test("kubeadm's ConfigMap is taken apart", async (t) => {
  const config = read(KUBEADM);
  t.equal(config.mode, "iptables");
  t.same(config.clusterCidrs.map(formatCidr), ["10.244.0.0/16"]);
  t.same(read(KUBEADM.replace('mode: ""', "mode: nftables")).mode, "nftables");
});

t.test("beside a kubeconfig, under another key, in a List, as JSON, after other objects", async (t) => {
  const map = (data: object) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "kube-proxy" },
    data,
  });
  const kubeconfig = "apiVersion: v1\nkind: Config\nclusters: []\n";
  const whole = map({ "config.conf": CONFIG, "kubeconfig.conf": kubeconfig });
  const texts = [
    JSON.stringify(whole),
    JSON.stringify(map({ config: CONFIG })),
    JSON.stringify({ apiVersion: "v1", kind: "List", items: [map({ a: "b" }), whole] }),
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMapList", items: [{ ...whole, kind: undefined }] }),
    `${KUBEADM.replace('mode: ""', "mode: ipvs")}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: a }\n`,
  ];
  for (const text of texts) t.equal(read(text).mode, "ipvs", text.slice(0, 80));
});

t.test("what is wrong in the text is told where it stands in the ConfigMap's file", async (t) => {
  const mode = KUBEADM.replace('mode: ""', 'mode: "iptable"');
  t.match(
    refusal(mode),
    `${placeOf(mode, '"iptable"')}data[config.conf]: KubeProxyConfiguration: mode: Invalid`,
  );
  const field = KUBEADM.replace("strictARP", "strictApr");
  t.match(
    refusal(field),
    `${placeOf(field, "strictApr")}data[config.conf]: KubeProxyConfiguration: unknown field`,
  );
  const version = KUBEADM.replace("io/v1alpha1", "io/v1");
  t.match(
    refusal(version),
    `${placeOf(version, "KubeProxyConfiguration")}data[config.conf]: no matches for kind`,
  );
  const yaml = KUBEADM.replace("clusterCIDR: 10.244.0.0/16", "clusterCIDR: {");
  t.match(
    refusal(yaml),
    /^cm\.yaml:1[4-9]:\d+: document 1: ConfigMap "kube-proxy": data\[config\.conf\]: error convert/,
  );
  const both = KUBEADM.replace('mode: ""', 'mode: "a"').replace("strictARP", "b");
  t.equal(refusal(both).split("\n").length, 2, "all of it at once");
});

t.test("a text that is not written line by line: the line in it is told", async (t) => {
  const conf = JSON.stringify(CONFIG.replace("ipvs", "ipv"));
  const text = `kind: ConfigMap\napiVersion: v1\nmetadata: { name: kube-proxy }\ndata:\n  config.conf: ${conf}\n`;
  t.match(
    refusal(text),
    `${placeOf(text, conf)}data[config.conf]: line 3, column 7: KubeProxyConfiguration: mode:`,
  );
});

t.test("none, or two: refused with the count", async (t) => {
  t.match(
    refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { a: b }\n"),
    /kind KubeProxyConfiguration, has 0/,
  );
  t.match(refusal(`${KUBEADM}\n---\n${CONFIG}`), /has 2/);
});
