// Ingress and IngressClass as an API server refuses them: field paths and sentences are its own.
import t from "tap";
import { ManifestError, parseManifests } from "../../manifest/manifest.ts";

const read = (text: string): unknown =>
  parseManifests([{ file: "a.yaml", text }], { carries: true })[0].object;

/** The problems of an object, without file and line. */
function problems(text: string): string[] {
  try {
    read(text);
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

const ingress = (spec: string, metadata = "name: web"): string =>
  `apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { ${metadata} }\nspec: ${spec}\n`;
const path = (text: string, backend = "{ service: { name: api, port: { number: 80 } } }"): string =>
  ingress(`{ rules: [ { http: { paths: [ { ${text}, backend: ${backend} } ] } } ] }`);
const AT = "spec.rules[0].http.paths[0]";

const INGRESSES: [name: string, text: string, problems: string[]][] = [
  ["an ordinary one", path("path: /a, pathType: Prefix"), []],
  [
    "nothing to serve",
    ingress("{}"),
    ["spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"],
  ],
  ["no type of path", path("path: /a"), [`${AT}.pathType: Required value: pathType must be specified`]],
  [
    "another type of path",
    path("path: /a, pathType: Regex"),
    [
      `${AT}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
    ],
  ],
  [
    "a path without a slash",
    path("path: a, pathType: Exact"),
    [`${AT}.path: Invalid value: "a": must be an absolute path`],
  ],
  ["no path at all, as one likes it", path("pathType: ImplementationSpecific"), []],
  [
    "paths that mean others",
    path("path: /a//b/.., pathType: Prefix"),
    [
      `${AT}.path: Invalid value: "/a//b/..": must not contain '//'`,
      `${AT}.path: Invalid value: "/a//b/..": cannot end with '/..'`,
    ],
  ],
  ["a pattern", path("path: /a(/|$)(.*), pathType: ImplementationSpecific"), []],
  [
    "two backends in one",
    path(
      "path: /a, pathType: Exact",
      "{ service: { name: a, port: { number: 1 } }, resource: { kind: B, name: c } }",
    ),
    [`${AT}.backend: Invalid value: "": cannot set both resource and service backends`],
  ],
  [
    "no backend",
    path("path: /a, pathType: Exact", "{}"),
    [`${AT}.backend: Invalid value: "": resource or service backend is required`],
  ],
  [
    "a port by name and by number",
    path("path: /a, pathType: Exact", "{ service: { name: a, port: { number: 1, name: http } } }"),
    [`${AT}.backend: Invalid value: "": cannot set both port name & port number`],
  ],
  [
    "no port",
    path("path: /a, pathType: Exact", "{ service: { name: a } }"),
    [`${AT}.backend: Required value: port name or number is required`],
  ],
  [
    "a port out of range",
    path("path: /a, pathType: Exact", "{ service: { name: a, port: { number: 70000 } } }"),
    [`${AT}.backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive`],
  ],
  [
    "an address for a host",
    ingress("{ rules: [ { host: 10.0.0.1 } ] }"),
    ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
  ],
  ["a wildcard", ingress('{ rules: [ { host: "*.example.com" } ] }'), []],
  [
    "no paths",
    ingress("{ rules: [ { host: a.example, http: { paths: [] } } ] }"),
    ["spec.rules[0].http.paths: Required value"],
  ],
  [
    "two classes",
    ingress(
      "{ ingressClassName: a, rules: [ {} ] }",
      "name: web, annotations: { kubernetes.io/ingress.class: b }",
    ),
    [
      'annotations.kubernetes.io/ingress.class: Invalid value: "b": must match `ingressClassName` when both are specified',
    ],
  ],
  [
    "a field that nobody knows",
    ingress("{ rules: [ { hosts: a } ] }"),
    ['unknown field "spec.rules[0].hosts"'],
  ],
];

t.test("an Ingress is refused for what an API server refuses it for", async (t) => {
  for (const [name, text, wanted] of INGRESSES) t.same(problems(text), wanted, name);
  const [wild] = problems(ingress('{ rules: [ { host: "a.*.b" } ], tls: [ { secretName: A } ] }'));
  t.match(
    wild,
    /^spec\.rules\[0\]\.host: Invalid value: "a\.\*\.b": a wildcard DNS-1123 subdomain must start/,
  );
});

const of = (spec: string): string =>
  `apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: { name: a }\nspec: ${spec}\n`;

t.test("a class needs a controller, and parameters of a scope", async (t) => {
  t.same(problems(of("{ controller: acme.io/web }")), []);
  t.same(problems(of("{}")), ["spec.controller: Required value"]);
  t.same(problems(of("{ controller: web }")), [
    'spec.controller: Invalid value: "web": must be a domain-prefixed path (such as "acme.io/foo")',
  ]);
  t.same(problems(of("{ controller: a.io/b, parameters: { kind: C, name: d, scope: Namespace } }")), [
    "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
  ]);
  t.match(read(of("{ controller: a.io/b, parameters: { kind: C, name: d } }")), {
    spec: { parameters: { scope: "Cluster" } },
  });
});
