// The annotation is podwire's own: a value that means nothing is refused, where it would mean something.
import t from "tap";
import { parseManifests } from "../manifest/manifest.ts";

const HEAD = "tier: Admin, priority: 5, subject: { namespaces: {} }";
const KINDS: [version: string, kind: string, spec: string][] = [
  ["networking.k8s.io/v1", "NetworkPolicy", "podSelector: {}"],
  ["policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", HEAD],
  ["v1", "Namespace", ""],
  ["v1", "Service", "ports: [{ port: 80 }]"],
];

function problemsOf([version, kind, spec]: (typeof KINDS)[number], value: string): string[] {
  const metadata = `{ name: p, annotations: { podwire.dev/enforcement: ${value} } }`;
  const text = `{ apiVersion: ${version}, kind: ${kind}, metadata: ${metadata}, spec: { ${spec} } }`;
  try {
    parseManifests([{ file: "a.yaml", text }]);
  } catch (error) {
    return (error as { problems: { message: string }[] }).problems.map(({ message }) => message);
  }
  return [];
}

t.test("audit is the only value, where the annotation means something", async (t) => {
  for (const kind of KINDS) t.same(problemsOf(kind, "audit"), [], kind[1]);
  for (const value of ["Audit", "enforce", "''"]) {
    const text = `Invalid value: "${value === "''" ? "" : value}": must be "audit"; without the annotation policies are enforced`;
    const refused = `metadata.annotations.podwire.dev/enforcement: ${text}`;
    for (const kind of KINDS)
      t.same(problemsOf(kind, value), kind[1] === "Service" ? [] : [refused], `${kind[1]} ${value}`);
  }
});
