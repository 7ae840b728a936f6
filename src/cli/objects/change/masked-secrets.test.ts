// diff shows which keys of a Secret change, and no value.
import t from "tap";
import type { KubeObject } from "../../../kube/objects.ts";
import { masked } from "./masked-secrets.ts";

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const object = (kind: string, data: object | undefined, annotations?: Record<string, string>): KubeObject => {
  const metadata = { name: "a", ...(annotations === undefined ? {} : { annotations }) };
  return { apiVersion: "v1", kind, metadata, ...(data === undefined ? {} : { data }) } as KubeObject;
};
const dataOf = (each: KubeObject | undefined): unknown => (each as { data?: object } | undefined)?.data;

t.test("values of a Secret are masked, and what changes is seen to change", (t) => {
  const before = object("Secret", { same: "YQ==", changed: "Yg==", gone: "Yw==" });
  const after = object("Secret", { same: "YQ==", changed: "ZA==", made: "ZQ==" });
  const [from, to] = masked([before, after]);
  t.same(dataOf(from), { same: "***", changed: "*** (before)", gone: "***" });
  t.same(dataOf(to), { same: "***", changed: "*** (after)", made: "***" });
  t.same(dataOf(before), { same: "YQ==", changed: "Yg==", gone: "Yw==" }, "the objects themselves stay");
  t.end();
});

t.test("one that is not there yet, one without values, and what kubectl apply keeps of them", (t) => {
  const [none, made] = masked([undefined, object("Secret", { a: "YQ==" })]);
  t.equal(none, undefined);
  t.same(dataOf(made), { a: "***" });
  const kept = object("Secret", undefined, { [LAST_APPLIED]: '{"data":{"a":"YQ=="}}', other: "b" });
  const [, shown] = masked([undefined, kept]);
  t.same(shown.metadata.annotations, { [LAST_APPLIED]: "***", other: "b" });
  t.notOk("data" in shown);
  t.end();
});

t.test("other kinds are shown as they are", (t) => {
  const pair = [object("ConfigMap", { a: "b" }), object("ConfigMap", { a: "c" })] as const;
  t.same(masked(pair), pair);
  t.end();
});
