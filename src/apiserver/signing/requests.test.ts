// CertificateSigningRequests: who asks, who decides, and what of one nobody changes.
import t from "tap";
import { ServedCluster } from "../../testing/api-server/served-cluster.ts";
import { CERTIFICATE, REQUEST } from "../../testing/api-server/signing.ts";
import { MASTERS_REQUEST, SIGNING_CASES } from "../../testing/api-server/signing-cases.ts";
import type { User } from "../reviews.ts";

const AT = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const served = new ServedCluster();
t.teardown(() => served.api.close());
const call = served.call.bind(served);
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
const MERGE = { type: "application/merge-patch+json" };
const SPEC = { request: REQUEST, signerName: "example.com/own", usages: ["client auth"] };

const request = (name: string, more: object = {}) => ({ metadata: { name }, spec: { ...SPEC, ...more } });
const condition = (type: string, more: object = {}) => ({ type, status: "True", reason: "R", ...more });
const made = (name: string): { metadata: object; spec: object; status: object } =>
  call(`POST ${AT}`, request(name)).body;
const approved = (name: string, ...conditions: object[]) =>
  call(`PUT ${AT}/${name}/approval`, { ...call(`GET ${AT}/${name}`).body, status: { conditions } });

t.test("a request says who asked, whatever he says", async (t) => {
  const user: User = { username: "jane", uid: "u-1", groups: ["team"], extra: { "example.com/a": ["b"] } };
  const lie = { username: "kubernetes-admin", uid: "0", groups: ["system:masters"], extra: { x: ["y"] } };
  const status = { conditions: [condition("Approved")], certificate: CERTIFICATE };
  const { code, body } = call(`POST ${AT}`, { ...request("who", lie), status }, { user });
  t.equal(code, 201);
  t.same(body.spec, { ...SPEC, ...user });
  t.notOk(body.status, "nobody approves his own by asking");
  t.same(call(`POST ${AT}`, request("admin")).body.spec.groups, ["system:masters", "system:authenticated"]);
});

t.test("approval and status each change their part, and nobody what was asked for", async (t) => {
  const before = made("parts");
  const other = { ...before, spec: { ...before.spec, signerName: "example.com/other" } };
  t.equal(call(`PUT ${AT}/parts`, other).body.spec.signerName, "example.com/own");
  const answer = approved("parts", condition("Approved", { message: "m" }));
  t.equal(answer.code, 200);
  t.match(answer.body.status.conditions, [
    { type: "Approved", status: "True", lastUpdateTime: /Z$/, lastTransitionTime: /Z$/ },
  ]);
  const [first] = answer.body.status.conditions;
  const touched = { ...first, message: "somebody else's", lastUpdateTime: "2020-01-01T00:00:00Z" };
  const signed = call(`PUT ${AT}/parts/status`, {
    ...answer.body,
    spec: other.spec,
    status: { conditions: [touched], certificate: CERTIFICATE },
  });
  t.equal(signed.code, 200);
  t.same(signed.body.status, { conditions: [first], certificate: CERTIFICATE });
  t.same(signed.body.spec, before.spec);
  const more = approved("parts", first, condition("Failed"));
  t.equal(more.body.status.certificate, CERTIFICATE, "the approval leaves it");
  t.match(
    call(`PATCH ${AT}/parts/approval`, { status: { conditions: [] } }, MERGE).body.message,
    /updates may not remove a condition of type "Approved"/,
  );
});

const REFUSED: [string, () => { code: number; body: { message: string } }, string][] = [
  [
    "no PEM",
    () => call(`POST ${AT}`, request("a", { request: "eA==" })),
    'spec.request: Invalid value: "eA==": PEM block',
  ],
  [
    "another PEM",
    () => call(`POST ${AT}`, request("a", { request: CERTIFICATE })),
    "PEM block type must be CERTIFICATE REQUEST",
  ],
  [
    "half of one",
    () => {
      const [head, , ...rest] = Buffer.from(REQUEST, "base64").toString().split("\n");
      const half = Buffer.from([head, ...rest].join("\n")).toString("base64");
      return call(`POST ${AT}`, request("a", { request: half }));
    },
    "asn1: structure error",
  ],
  ["no usages", () => call(`POST ${AT}`, request("a", { usages: [] })), "spec.usages: Required value"],
  [
    "usages of nobody's",
    () => call(`POST ${AT}`, request("a", { usages: ["x", "any", "any"] })),
    'spec.usages[0]: Unsupported value: "x": supported values: "any", "cert sign"',
  ],
  [
    "no signer",
    () => call(`POST ${AT}`, request("a", { signerName: "own" })),
    "must be a fully qualified domain and path of the form 'example.com/signer-name'",
  ],
  [
    "the signer of before",
    () => call(`POST ${AT}`, request("a", { signerName: "kubernetes.io/legacy-unknown" })),
    "the legacy signerName is not allowed via this API version",
  ],
  [
    "for too short",
    () => call(`POST ${AT}`, request("a", { expirationSeconds: 599 })),
    "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
  ],
  ["a name of nobody's", () => call(`POST ${AT}`, request("A")), 'metadata.name: Invalid value: "A"'],
  [
    "approved by its status",
    () =>
      call(`PUT ${AT}/refused/status`, {
        ...call(`GET ${AT}/refused`).body,
        status: { conditions: [condition("Approved")] },
      }),
    'status.conditions: Forbidden: updates may not add a condition of type "Approved"',
  ],
  [
    "approved and denied",
    () => approved("refused", condition("Approved"), condition("Denied")),
    "Approved and Denied conditions are mutually exclusive",
  ],
  [
    "approved, but not really",
    () => approved("refused", condition("Approved", { status: "False" })),
    'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
  ],
  [
    "twice",
    () => approved("refused", condition("Approved"), condition("Approved")),
    'status.conditions[1].type: Duplicate value: "Approved"',
  ],
  [
    "signed with something else",
    () =>
      call(`PUT ${AT}/refused/status`, {
        ...call(`GET ${AT}/refused`).body,
        status: { certificate: REQUEST },
      }),
    'status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"',
  ],
];

t.test("what an API server refuses is refused", async (t) => {
  made("refused");
  for (const [name, ask, message] of REFUSED) {
    const { code, body } = ask();
    t.equal(code, 422, name);
    t.ok(body.message.includes(message), `${name}: ${body.message}`);
  }
  t.notOk(call(`GET ${AT}/refused`).body.status, "and nothing has come of it");
});

t.test("a request is signed by its own key, in whatever way Go verifies", async (t) => {
  for (const [name, asked, why] of SIGNING_CASES) {
    const { code, body } = call(`POST ${AT}?dryRun=All`, request("signed", { request: asked }));
    t.equal(code, why === "" ? 201 : 422, `${name}: ${code}`);
    if (why !== "")
      t.same(body.details.causes[0].message, `Invalid value: ${JSON.stringify(asked)}: ${why}`, name);
  }
  t.ok(SIGNING_CASES.filter(([, , why]) => why === "").length > 10);
});

t.test("whoever signs clients' certificates makes nobody an administrator", async (t) => {
  const asking = (signerName: string) =>
    call(`POST ${AT}?dryRun=All`, request("masters", { request: MASTERS_REQUEST, signerName }));
  t.equal(asking("example.com/own").code, 201);
  const { code, body } = asking("kubernetes.io/kube-apiserver-client");
  t.equal(code, 403);
  const why = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
  t.equal(body.message, `certificatesigningrequests.certificates.k8s.io "masters" is forbidden: ${why}`);
});

t.test("a certificate that is there stays", async (t) => {
  const { metadata, spec } = made("fixed");
  const put = (certificate: string) =>
    call(`PUT ${AT}/fixed/status`, { metadata: { name: "fixed" }, spec, status: { certificate } });
  t.equal(put(CERTIFICATE).code, 200);
  t.equal(put(CERTIFICATE).code, 200);
  const again = Buffer.from(`\n${Buffer.from(CERTIFICATE, "base64")}`).toString("base64");
  t.match(put(again).body.message, /updates may not modify existing certificate content/);
  t.ok(metadata);
});

t.test("they are listed as kubectl prints them, and told from those of other signers", async (t) => {
  call(`POST ${AT}`, request("listed", { expirationSeconds: 3600 }), {
    user: { username: "jane", groups: [] },
  });
  const row = (): string[] =>
    call(`GET ${AT}?fieldSelector=metadata.name%3Dlisted`, undefined, TABLE).body.rows[0].cells;
  t.same(row().slice(2), ["example.com/own", "jane", "60m", "Pending"]);
  approved("listed", condition("Denied"));
  t.equal(row()[5], "Denied");
  t.same(call(`GET ${AT}?fieldSelector=spec.signerName%3Dexample.com/none`).body.items, []);
  const { resources } = call("GET /apis/certificates.k8s.io/v1").body;
  t.match(
    resources.find(({ name }: { name: string }) => name === "certificatesigningrequests/approval"),
    { kind: "CertificateSigningRequest", verbs: ["get", "patch", "update"] },
  );
  t.match(
    resources.find(({ name }: { name: string }) => name === "certificatesigningrequests"),
    { shortNames: ["csr"], namespaced: false },
  );
});

t.test("a pod's token says which pod asks", async (t) => {
  const account = served.cluster.get("ServiceAccount", "default/default") ?? {
    ...{ apiVersion: "v1", kind: "ServiceAccount" },
    metadata: { name: "default", namespace: "default", uid: "a-1" },
  };
  const { token } = served.tokens.issue(
    account,
    {},
    {
      ...{ pod: { name: "p", uid: "p-1" }, node: { name: "node1", uid: "n-1" } },
    },
  );
  const uids: Record<string, string | undefined> = { ServiceAccount: account.metadata.uid, Pod: "p-1" };
  const user = served.tokens.userOf(token, (kind) => uids[kind]);
  t.match(user, {
    username: "system:serviceaccount:default:default",
    uid: account.metadata.uid,
    extra: {
      "authentication.kubernetes.io/credential-id": [/^JTI=/],
      "authentication.kubernetes.io/node-name": ["node1"],
      "authentication.kubernetes.io/node-uid": ["n-1"],
      "authentication.kubernetes.io/pod-name": ["p"],
      "authentication.kubernetes.io/pod-uid": ["p-1"],
    },
  });
  const review = call("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", {}, { user: user as User });
  t.same(review.body.status.userInfo, user);
});
