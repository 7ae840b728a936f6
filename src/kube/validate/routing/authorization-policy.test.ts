// AuthorizationPolicies as Istio refuses them, and what podwire's proxies do not judge by, refused by name.
import t from "tap";
import { ManifestError, parseManifests } from "../../manifest/manifest.ts";
import { policyKinds } from "../../mesh/read-policy.ts";

const policy = (spec: object | undefined, version = "v1"): object => ({
  apiVersion: `security.istio.io/${version}`,
  ...{ kind: "AuthorizationPolicy", metadata: { name: "x", namespace: "shop" } },
  ...(spec !== undefined && { spec }),
});
const read = (value: object): unknown =>
  parseManifests([{ file: "a.yaml", text: JSON.stringify(value) }], { customKinds: policyKinds })[0].object;

function problems(value: object): string[] {
  try {
    read(value);
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

const rule = (more: object): object => policy({ rules: [more] });
const source = (more: object): object => rule({ from: [{ source: more }] });
const operation = (more: object): object => rule({ to: [{ operation: more }] });
const when = (more: object): object => rule({ when: [more] });
const R = "spec.rules[0]";
const S = `${R}.from[0].source`;
const O = `${R}.to[0].operation`;
const NOT_SERVED = "podwire's proxies do not judge by it: leave it out";

const ROWS: [name: string, value: object, problems: string[]][] = [
  ["nothing at all: nobody is let in", policy(undefined), []],
  ["an empty rule: everybody is", policy({ rules: [{}] }), []],
  ["the former version", policy({ action: "AUDIT", rules: [{}] }, "v1beta1"), []],
  [
    "a whole one",
    policy({
      ...{ action: "DENY", selector: { matchLabels: { app: "api" } } },
      rules: [
        {
          from: [
            { source: { principals: ["cluster.local/ns/a/sa/b", "*/sa/c", "*"], namespaces: ["a-*"] } },
            { source: { ipBlocks: ["10.0.0.0/8", "fd00::1"], notServiceAccounts: ["web", "a/web"] } },
          ],
          to: [
            { operation: { ports: ["80"], methods: ["GET"], paths: ["/a/*", "*.html"], notHosts: ["x"] } },
          ],
          when: [
            { key: "request.headers[x-user]", notValues: ["*"] },
            { key: "source.ip", values: ["10.0.0.0/8"] },
            { key: "destination.port", values: ["80", "0"] },
          ],
        },
      ],
    }),
    [],
  ],
  [
    "somebody else decides",
    policy({ action: "CUSTOM", provider: { name: "p" } }),
    [
      'spec.action: Invalid value: "CUSTOM": podwire\'s proxies ask nobody else: ALLOW, DENY or AUDIT',
      `spec.provider: Forbidden: ${NOT_SERVED}`,
    ],
  ],
  [
    "an action of nobody's",
    policy({ action: "allow" }),
    ['spec.action: Unsupported value: "allow": supported values: "ALLOW", "AUDIT", "DENY"'],
  ],
  [
    "targets",
    policy({ targetRefs: [{ kind: "Gateway", name: "g" }] }),
    [`spec.targetRefs: Forbidden: ${NOT_SERVED}`],
  ],
  [
    "denying nothing",
    policy({ action: "DENY" }),
    [
      "spec.rules: Required value: a DENY policy without rules is meaningless: it has no effect and should be removed",
    ],
  ],
  ["a field nobody knows", policy({ rule: [] }), ['unknown field "spec.rule"']],
  [
    "lists without anything",
    rule({ from: [], to: [] }),
    [`${R}.from: Required value: cannot be empty`, `${R}.to: Required value: cannot be empty`],
  ],
  ["a source that says nothing", source({}), [`${S}: Required value: must have at least one field set`]],
  [
    "nor does this one",
    source({ principals: [] }),
    [`${S}: Required value: must have at least one field set`],
  ],
  ["no source", rule({ from: [{}] }), [`${S}: Required value: must have at least one field set`]],
  [
    "who a token says",
    source({ requestPrincipals: ["*"] }),
    [`${S}.requestPrincipals: Forbidden: ${NOT_SERVED}`],
  ],
  [
    "who another proxy says",
    source({ notRemoteIpBlocks: ["10.0.0.0/8"] }),
    [`${S}.notRemoteIpBlocks: Forbidden: ${NOT_SERVED}`],
  ],
  [
    "a star in the middle",
    source({ principals: ["cluster.local/ns/*/sa/a"] }),
    [`${S}.principals[0]: Invalid value: "cluster.local/ns/*/sa/a": * stands at one end, or alone`],
  ],
  ["empty", source({ namespaces: [""] }), [`${S}.namespaces[0]: Invalid value: "": empty value not allowed`]],
  [
    "no address",
    source({ ipBlocks: ["10.0.0.0/33"] }),
    [
      `${S}.ipBlocks[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`,
    ],
  ],
  [
    "accounts by pattern",
    source({ serviceAccounts: ["a/*"] }),
    [`${S}.serviceAccounts[0]: Invalid value: "a/*": must be NAME or NAMESPACE/NAME, without *`],
  ],
  [
    "an operation that says nothing",
    operation({}),
    [`${O}: Required value: must have at least one field set`],
  ],
  [
    "a port by name",
    operation({ ports: ["http", "65536"] }),
    [
      `${O}.ports[0]: Invalid value: "http": must be a number from 0 to 65535`,
      `${O}.ports[1]: Invalid value: "65536": must be a number from 0 to 65535`,
    ],
  ],
  [
    "a template",
    operation({ paths: ["/a/{*}/b"] }),
    [
      `${O}.paths[0]: Invalid value: "/a/{*}/b": * stands at one end, or alone`,
      `${O}.paths[0]: Invalid value: "/a/{*}/b": templates of paths are not served: use * at an end`,
    ],
  ],
  [
    "a condition about nothing",
    when({ values: ["a"] }),
    [`${R}.when[0].key: Required value: cannot be empty`],
  ],
  [
    "a condition about what nobody knows",
    when({ key: "request.auth.claims[iss]", values: ["a"] }),
    [
      `${R}.when[0].key: Unsupported value: "request.auth.claims[iss]": supported values: "destination.ip", ` +
        '"destination.port", "request.headers[NAME]", "source.ip", "source.namespace", "source.principal"',
    ],
  ],
  [
    "a condition without values",
    when({ key: "source.namespace" }),
    [`${R}.when[0]: Required value: values or notValues of source.namespace`],
  ],
  [
    "a port that is none",
    when({ key: "destination.port", notValues: ["a"] }),
    [`${R}.when[0].notValues[0]: Invalid value: "a": must be a number from 0 to 65535`],
  ],
  [
    "a selector that no pod can have",
    policy({ selector: { matchLabels: { "a b": "c" } } }),
    [/name part must consist of/ as unknown as string],
  ],
];

for (const [name, value, wanted] of ROWS)
  t.test(name, async (t) => {
    t.match(problems(value), wanted);
    t.equal(problems(value).length, wanted.length);
  });

t.test("either version is read as the newer one", async (t) => {
  t.match(read(policy({}, "v1beta1")), { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy" });
});
