// What docs/mesh.md shows is what podwire takes, and means what the page says.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { ip } from "../base/ip.ts";
import { parseManifests } from "../kube/manifest/manifest.ts";
import type { AuthorizationPolicy } from "../kube/mesh/authorization-policy.ts";
import { policyKinds } from "../kube/mesh/read-policy.ts";
import { Authorization } from "../l7/mesh/authorization.ts";
import { projectRoot } from "../testing/tidy/source-tree.ts";
import { readMeshFile } from "./config.ts";

const page = readFileSync(join(projectRoot(), "docs/mesh.md"), "utf8");
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => text);

t.test("the policy lets in whom it names, at the port that it names", async (t) => {
  const text = examples.find((each) => each.includes("kind: AuthorizationPolicy")) ?? "";
  const [{ object }] = parseManifests([{ file: "policy.yaml", text }], { customKinds: policyKinds });
  const authorization = new Authorization([object as unknown as AuthorizationPolicy]);
  t.same(authorization.notes, []);
  const isAllowed = (serviceAccount: string, port: number, app = "api"): boolean => {
    const identity = { trustDomain: "cluster.local", namespace: "shop", serviceAccount };
    const destination = { namespace: "shop", labels: { app }, ip: ip("10.244.2.2"), port };
    const source = { ip: ip("10.244.1.2"), identity };
    return authorization.of(destination).judge({ source, destination, request: undefined }).isAllowed;
  };
  t.ok(isAllowed("web", 8080));
  t.notOk(isAllowed("web", 9090), "another port");
  t.notOk(isAllowed("other", 8080), "somebody else");
  t.ok(isAllowed("other", 8080, "other"), "another workload is not meant");
});

t.test("the configuration is one, and its defaults are those that it shows", async (t) => {
  const text = examples.find((each) => each.includes("mesh-config.yaml")) ?? "";
  const config = readMeshFile({ file: "mesh-config.yaml", text }, {});
  const least = `{ source: { kubernetes: {} }, nodeName: node1, identities: { directory: /c }, metrics: { port: 15020 } }`;
  const { agent, identities, ...rest } = config;
  const { agent: none, identities: other, ...defaults } = readMeshFile({ file: "a.yaml", text: least }, {});
  t.same(rest, defaults);
  t.same([agent, none], ["/run/podwire/agent.sock", ""]);
  t.same(
    [identities, other].map((each) => each?.directory),
    ["/var/lib/podwire/mesh", "/c"],
  );
});
