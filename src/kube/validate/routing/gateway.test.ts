// Objects of the Gateway API as their definitions fill them in and refuse them.
import t from "tap";
import { gatewayKinds } from "../../gateway/read-gateway.ts";
import { ManifestError, parseManifests } from "../../manifest/manifest.ts";

const read = (value: object): unknown =>
  parseManifests([{ file: "a.yaml", text: JSON.stringify(value) }], { customKinds: gatewayKinds })[0].object;

function problems(value: object): string[] {
  try {
    read(value);
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

const object = (kind: string, spec: object, version = "v1"): object => ({
  ...{ apiVersion: `gateway.networking.k8s.io/${version}`, kind, metadata: { name: "x" }, spec },
});
const listener = (more: object): object =>
  object("Gateway", {
    gatewayClassName: "c",
    listeners: [{ name: "l", port: 80, protocol: "HTTP", ...more }],
  });
const rule = (more: object): object => object("HTTPRoute", { rules: [more] });
const L = "spec.listeners[0]";
const R = "spec.rules[0]";

const ROWS: [name: string, value: object, problems: string[]][] = [
  ["a class", object("GatewayClass", { controllerName: "a.io/b" }), []],
  ["a class of nobody", object("GatewayClass", {}), ["spec.controllerName: Required value"]],
  ["no listeners", object("Gateway", { gatewayClassName: "c" }), ["spec.listeners: Required value"]],
  ["a listener", listener({}), []],
  ["a port out of range", listener({ port: 0 }), [`${L}.port: Required value`]],
  [
    "TLS without TLS",
    listener({ tls: {} }),
    [
      `${L}: Invalid value: "object": tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']`,
      `${L}.tls: Invalid value: "object": certificateRefs or options must be specified when mode is Terminate`,
    ],
  ],
  [
    "HTTPS passed through",
    listener({ protocol: "HTTPS", tls: { mode: "Passthrough" } }),
    [`${L}.tls: Invalid value: "object": tls mode must be Terminate for protocol HTTPS`],
  ],
  [
    "two of one name",
    object("Gateway", {
      gatewayClassName: "c",
      listeners: [
        { name: "l", port: 80, protocol: "HTTP" },
        { name: "l", port: 81, protocol: "HTTP" },
      ],
    }),
    ['spec.listeners: Invalid value: "array": Listener name must be unique within the Gateway'],
  ],
  ["an empty rule", rule({}), []],
  [
    "a path without a slash",
    rule({ matches: [{ path: { value: "a" } }] }),
    [
      `${R}.matches[0].path: Invalid value: "object": value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']`,
    ],
  ],
  [
    "another method",
    rule({ matches: [{ method: "FETCH" }] }),
    [
      `${R}.matches[0].method: Unsupported value: "FETCH": supported values: "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"`,
    ],
  ],
  [
    "a filter without its field",
    rule({ filters: [{ type: "CORS" }] }),
    [`${R}.filters[0]: Invalid value: "object": filter.cors must be specified for CORS filter.type`],
  ],
  [
    "a redirect with backends",
    rule({
      filters: [{ type: "RequestRedirect", requestRedirect: {} }],
      backendRefs: [{ name: "a", port: 80 }],
    }),
    [`${R}: Invalid value: "object": RequestRedirect filter must not be used together with backendRefs`],
  ],
  [
    "a prefix replaced where there is none",
    rule({
      matches: [{ path: { type: "Exact", value: "/a" } }],
      filters: [
        { type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } } },
      ],
    }),
    [
      `${R}: Invalid value: "object": When using path.replacePrefixMatch, exactly one PathPrefix match must be specified`,
    ],
  ],
  [
    "a Service without a port",
    rule({ backendRefs: [{ name: "a" }] }),
    [`${R}.backendRefs[0]: Invalid value: "object": Must have port for Service reference`],
  ],
  [
    "a weight too high",
    rule({ backendRefs: [{ name: "a", port: 80, weight: 1000001 }] }),
    [`${R}.backendRefs[0].weight: Invalid value: 1000001: should be between 0 and 1000000`],
  ],
  [
    "a time that is none",
    rule({ timeouts: { request: "10" } }),
    [`${R}.timeouts.request: Invalid value: "10": should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'`],
  ],
  [
    "a try longer than all",
    rule({ timeouts: { request: "1s", backendRequest: "2s" } }),
    [`${R}.timeouts: Invalid value: "object": backendRequest timeout cannot be longer than request timeout`],
  ],
  ["a field that nobody knows", rule({ match: [] }), ['unknown field "spec.rules[0].match"']],
  [
    "a grant to nobody",
    object("ReferenceGrant", { to: [{ group: "", kind: "Service" }] }, "v1beta1"),
    ["spec.from: Required value"],
  ],
  [
    "a policy without a name",
    object("BackendTLSPolicy", {
      targetRefs: [{ group: "", kind: "Service", name: "a" }],
      validation: { wellKnownCACertificates: "System" },
    }),
    ["spec.validation.hostname: Required value"],
  ],
  [
    "a method of nothing",
    object("GRPCRoute", { rules: [{ matches: [{ method: {} }] }] }),
    [
      `${R}.matches[0].method: Invalid value: "object": One or both of 'service' or 'method' must be specified`,
    ],
  ],
];

t.test("what the definitions refuse is refused", async (t) => {
  for (const [name, value, wanted] of ROWS) t.same(problems(value), wanted, name);
});

t.test("defaults are filled in; former versions are read as the present one", async (t) => {
  const route = object(
    "HTTPRoute",
    { parentRefs: [{ name: "g" }], rules: [{ backendRefs: [{ name: "a", port: 80 }] }] },
    "v1beta1",
  );
  t.match(read(route), {
    apiVersion: "gateway.networking.k8s.io/v1",
    spec: {
      parentRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway" }],
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: "/" } }],
          backendRefs: [{ group: "", kind: "Service", weight: 1 }],
        },
      ],
    },
  });
  t.match(read(listener({})), { spec: { listeners: [{ allowedRoutes: { namespaces: { from: "Same" } } }] } });
});

t.test("who does not ask for these kinds passes them over", async (t) => {
  const text = JSON.stringify(rule({}));
  t.same(parseManifests([{ file: "a.yaml", text }], { carries: true }), []);
});
