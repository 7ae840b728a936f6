import t from "tap";
import { labelValue, matchesSelector, namespaceLabels } from "./labels.ts";
import type { KubeObject, LabelSelector } from "./objects.ts";

const LABELS = { app: "db", tier: "back" };

t.test("a selector, with and without the key it asks for", async (t) => {
  const expression = (key: string, operator: string, ...values: string[]): LabelSelector => ({
    matchExpressions: [{ key, operator, ...(values.length > 0 ? { values } : {}) }],
  });
  const cases: [selector: LabelSelector, want: boolean][] = [
    [{}, true],
    [{ matchLabels: { app: "db" } }, true],
    [{ matchLabels: { app: "db", tier: "front" } }, false],
    [expression("app", "In", "web", "db"), true],
    [expression("app", "In", "web"), false],
    [expression("zone", "In", "a"), false],
    [expression("app", "NotIn", "db"), false],
    [expression("app", "NotIn", "web"), true],
    [expression("zone", "NotIn", "a"), true],
    [expression("app", "Exists"), true],
    [expression("zone", "Exists"), false],
    [expression("app", "DoesNotExist"), false],
    [expression("zone", "DoesNotExist"), true],
    [{ matchLabels: { app: "db" }, ...expression("tier", "Exists") }, true],
    [{ matchLabels: { app: "web" }, ...expression("tier", "Exists") }, false],
  ];
  for (const [selector, want] of cases)
    t.equal(matchesSelector(selector, LABELS), want, JSON.stringify(selector));
  t.equal(matchesSelector(expression("app", "DoesNotExist"), undefined), true, "no labels at all");
  for (const key of ["constructor", "toString", "hasOwnProperty"]) {
    t.equal(matchesSelector(expression(key, "Exists"), LABELS), false, `${key} is no label that all have`);
    t.equal(matchesSelector(expression(key, "DoesNotExist"), LABELS), true, key);
    t.equal(matchesSelector(expression(key, "NotIn", "a"), LABELS), true, key);
    t.equal(
      matchesSelector(expression(key, "Exists"), { [key]: "a" }),
      true,
      `${key} is a label where somebody has it`,
    );
    t.equal(labelValue(LABELS, key), undefined, key);
    t.equal(labelValue({ [key]: "a" }, key), "a", key);
  }
});

t.test("a namespace that no file tells of has its name", async (t) => {
  const metadata = { name: "shop", labels: { team: "a" } };
  const there: KubeObject = { apiVersion: "v1", kind: "Namespace", metadata };
  const namespaces = new Map([["shop", there]]);
  t.same(namespaceLabels(namespaces, "shop"), { team: "a", "kubernetes.io/metadata.name": "shop" });
  t.same(namespaceLabels(namespaces, "other"), { "kubernetes.io/metadata.name": "other" });
});
