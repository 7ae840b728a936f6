// Names as Calico's own tests and clusters of the field have them.
import t from "tap";
import { calicoInterfaceName } from "../interface-name.ts";
import { chainName, groupChain, policyId, ruleHashes, setId, setName } from "./names.ts";
import { and, equals, namespaceSelector, podSelector } from "./selector.ts";

t.test("a pod's interface", async (t) => {
  t.equal(calicoInterfaceName("default", "podA"), "cali7f94ce7c295");
  t.equal(calicoInterfaceName("default", "podB"), "cali92cf1f5e9f6");
});

t.test("a chain's name is whole where it fits, and ends in a hash where it does not", async (t) => {
  t.equal(chainName("cali-pi-", "/long-policy-name-that-gets-hashed"), "cali-pi-_FJ9yUkNpzshVDh2n7mg");
  t.equal(chainName("cali-fw-", "cali7f94ce7c295"), "cali-fw-cali7f94ce7c295");
  t.equal(chainName("cali-pi-", "x".repeat(20)), `cali-pi-${"x".repeat(20)}`);
  t.equal(chainName("cali-pi-", "x".repeat(21)).length, 28);
  t.not(
    chainName("cali-pi-", `_${"x".repeat(19)}`),
    `cali-pi-_${"x".repeat(19)}`,
    "it might be somebody's hash",
  );
  t.equal(chainName("cali-pri-", "kns.kube-system"), "cali-pri-kns.kube-system");
});

t.test("a rule's hash tells its text and all before it", async (t) => {
  // Rules that a node of any cluster with Calico shows.
  const forward = [
    "--jump MARK --set-mark 0/0xe0000",
    "-m mark --mark 0/0x10000 --jump cali-from-hep-forward",
    "--in-interface cali+ --jump cali-from-wl-dispatch",
    "--out-interface cali+ --jump cali-to-wl-dispatch",
    "--jump cali-to-hep-forward",
    "--jump cali-cidr-block",
  ];
  t.same(
    ruleHashes(
      "cali-FORWARD",
      forward.map((rule) => `-A cali-FORWARD HASH ${rule}`),
    ),
    [
      "vjrMJCRpqwy5oRoX",
      "A_sPAO0mcxbT9mOV",
      "8ZoYfO5HKXWbB3pk",
      "jdEuaPBe14V2hutn",
      "12bc6HljsMKsmfr-",
      "NOSxoaGx8OIstr1z",
    ],
  );
});

const POD_LABELS = { "projectcalico.org/orchestrator": "k8s", app: "db" };

t.test("a label is there where an object has it, whatever its key", async (t) => {
  const selects = (operator: string, ...values: string[]): boolean =>
    podSelector({ matchExpressions: [{ key: "constructor", operator, values }] }).matches(POD_LABELS);
  t.notOk(selects("Exists"));
  t.ok(selects("DoesNotExist"));
  t.ok(selects("NotIn", "a"));
  t.ok(selects("NotIn", "undefined"));
  t.notOk(selects("In", "a"));
});

t.test("a set's name is the hash of its selector, as Calico's parser writes it", async (t) => {
  t.equal(setId("s", "all()"), "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug");
  t.equal(setName(6, "s:qMt7iLlGDhvLnCjM0l9nzxbabcd"), "cali60s:qMt7iLlGDhvLnCjM0l9nzxb");
  t.equal(setName(4, "all-vxlan-net"), "cali40all-vxlan-net");
  const pods = podSelector({
    matchLabels: { b: "2", a: "1" },
    matchExpressions: [
      { key: "c", operator: "NotIn", values: ["y", "x", "y"] },
      { key: "d", operator: "DoesNotExist" },
      { key: "e", operator: "Exists" },
      { key: "f", operator: "In", values: ["z"] },
    ],
  });
  t.equal(
    pods.text,
    '(projectcalico.org/orchestrator == "k8s" && a == "1" && b == "2" && c not in {"x", "y"} && !has(d) && has(e)' +
      ' && f in {"z"})',
  );
  t.equal(podSelector(undefined).text, 'projectcalico.org/orchestrator == "k8s"');
  t.equal(namespaceSelector({}).text, "has(projectcalico.org/namespace)");
  t.equal(namespaceSelector({ matchLabels: { team: "red" } }).text, 'pcns.team == "red"');
  t.equal(and([equals("a", "b"), equals("c", "d")]).text, '(a == "b" && c == "d")');
});

t.test("policies are called as Calico calls them, and their groups by what they hold", async (t) => {
  const np = { kind: "NetworkPolicy", namespace: "shop", name: "allow-db" } as const;
  const cnp = { kind: "ClusterNetworkPolicy", namespace: "", name: "deny" } as const;
  t.equal(policyId(np), "default/shop/knp.default.allow-db");
  t.equal(policyId(cnp), "kcnp/deny");
  const group = { direction: "ingress", tier: "default", selector: "all()", policies: [np, np] } as const;
  t.match(groupChain(group), /^cali-gi-[\w-]{20}$/);
  t.match(groupChain({ ...group, direction: "egress", policies: [cnp] }), /^cali-go-[\w-]{20}$/);
  t.not(groupChain(group), groupChain({ ...group, selector: "has(a)" }));
});
