// explain --http as scripts use it: one answer a line, in order, in the fields of the contract.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";
import { ingress, served } from "../../testing/l7/objects.ts";
import { gateway, httpRoute } from "../../testing/l7/random-gateway.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-explain-http-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const podwire = new CommandLine();
t.teardown(() => podwire.close());

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
const yaml = (...objects: object[]): string => objects.map((each) => JSON.stringify(each)).join("\n---\n");

const WEB = ingress({
  hosts: {
    "shop.example": [
      { path: "/", to: "front" },
      { path: "/api(/|$)(.*)", type: "ImplementationSpecific", to: "back" },
    ],
  },
  annotations: { "rewrite-target": "/$2", "made-up": "1" },
});
const OBJECTS = file("objects.yaml", yaml(...served("front"), ...served("back", 0), WEB));
const http = (...args: string[]) => podwire.run(["explain", "-f", OBJECTS, "--http", ...args]);

t.test("a file of requests: a JSON object a line, in order, status 0 whatever they say", async (t) => {
  const requests = file(
    "requests.jsonl",
    [
      { method: "GET", scheme: "http", host: "shop.example", path: "/a?b=c", headers: { Accept: "*/*" } },
      { method: "GET", scheme: "http", host: "shop.example", path: "/api/x", headers: {} },
      { method: "GET", scheme: "http", path: "/", headers: {} },
    ]
      .map((each) => JSON.stringify(each))
      .join("\n"),
  );
  const { status, stdout, stderr } = http(requests, "-o", "json");
  t.equal(status, 0, stderr);
  const answers = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(answers[0], {
    backend: "shop/front:80",
    rule: "Ingress shop/web rules[0].http.paths[0]",
    rewrittenPath: "/?b=c",
    distribution: [{ backend: "shop/front:80", share: 1 }],
    upstreamHeaders: { Accept: "*/*", Host: "shop.example", "X-Forwarded-Host": "shop.example" },
  });
  t.match(answers[1], { status: 503, reason: "shop/back:80 has no endpoint that is ready" });
  t.match(answers[2], { status: 404 });
  t.match(stderr, /note: Ingress shop\/web: nginx\.ingress\.kubernetes\.io\/made-up is not known here/);
});

t.test("one request as words: the steps, what the backend gets, the end; status 3 for a no", async (t) => {
  const yes = http("POST", "http://shop.example/a", "-H", "Accept: text/html", "--client", "192.0.2.7");
  t.equal(yes.status, 0, yes.stderr);
  const lines = yes.stdout.trimEnd().split("\n");
  t.equal(lines[0], "POST http://shop.example/a from 192.0.2.7");
  t.match(lines[1], /^ {2}host +shop\.example is served by its own rules$/);
  t.ok(lines.includes("  > X-Real-IP: 192.0.2.7"), yes.stdout);
  t.equal(lines.at(-1), "FORWARD to shop/front:80 by Ingress shop/web rules[0].http.paths[0]");
  const no = http("http://shop.example/api/x");
  t.equal(no.status, 3);
  t.match(no.stdout, /\n503: shop\/back:80 has no endpoint that is ready\n$/);
});

t.test(
  "manifests that are still to be applied get endpoints; files without any are taken to be served",
  async (t) => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "front", namespace: "shop" },
      spec: { selector: { app: "f" }, ports: [{ port: 80, targetPort: 8080 }] },
    };
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "f", namespace: "shop", labels: { app: "f" } },
      spec: { containers: [{ name: "c", image: "x" }] },
    };
    const with_ = (...objects: object[]) =>
      podwire.run([
        "explain",
        "-f",
        file("some.yaml", yaml(service, WEB, ...objects)),
        "--http",
        "GET",
        "http://shop.example/",
        "-o",
        "json",
      ]);
    const made = with_(pod);
    t.match(JSON.parse(made.stdout), { backend: "shop/front:80", endpoints: [/^10\.244\.\d+\.\d+:8080$/] });
    t.notMatch(made.stderr, /passed over/);
    const assumed = with_();
    t.match(JSON.parse(assumed.stdout), { backend: "shop/front:80" });
    t.match(
      assumed.stderr,
      /no Pods and no EndpointSlices in these files: every Service is taken to be served/,
    );
  },
);

t.test("what cannot be asked is said: with line and field, and nothing is answered", async (t) => {
  const bad = file("bad.jsonl", '{"host":"a","path":"b"}\nnot json\n{"host":"a","verb":"GET"}\n');
  const { status, stdout, stderr } = http(bad);
  t.equal(status, 1);
  t.equal(stdout, "");
  t.match(stderr, /bad\.jsonl:1: path: "b" does not begin with a slash/);
  t.match(stderr, /bad\.jsonl:2: not a JSON object/);
  t.match(stderr, /bad\.jsonl:3: verb: no such field/);
  for (const [args, problem] of [
    [["GET", "ftp://a/"], /not an address that begins with http/],
    [["GET"], /cannot be read|ENOENT|no such file/i],
    [["GET", "http://a/", "more"], /give a file of requests, or a method and an address/],
    [["GET", "http://a/\u001b[31m"], /path: "\/\\u001b\[31m" has a control character in it/],
    [["GET", "http://[::1"], /host: "\[::1" is no host/],
    [["http://a/", "--client", "me"], /--client me: not an IP address/],
    [["http://a/", "-H", "nothing"], /write 'Name: value'/],
    [["http://a/", "--node", "node1"], /--node: is about packets/],
    [[bad, "--client", "10.0.0.1"], /--client: goes with --http METHOD URL/],
    [["http://a/", "--from", "10.0.0.1"], /use --from and --to, or --flows, or --http/],
  ] as [string[], RegExp][]) {
    const said = http(...args);
    t.ok(said.status === 2 || said.status === 1, `${args.join(" ")}: ${said.status}`);
    t.match(said.stderr, problem);
  }
  const broken = file("broken.yaml", yaml({ ...WEB, spec: {} }));
  const refused = podwire.run(["explain", "-f", broken, "--http", "http://a/"]);
  t.equal(refused.status, 1);
  t.match(refused.stderr, /broken\.yaml:1:\d+: .*Ingress "web": spec: Invalid value/);
});

const GATEWAY = file(
  "gateway.yaml",
  yaml(
    ...served("front"),
    gateway([{ name: "http", port: 80, protocol: "HTTP" }]),
    httpRoute("r", { hostnames: ["shop.example"], rules: [{ backendRefs: [{ name: "front", port: 80 }] }] }),
    httpRoute("lost", { parentRefs: [{ name: "gw", sectionName: "no" }], rules: [] }),
  ),
);

t.test("Gateways: by name, with notes of what is not accepted", async (t) => {
  const ask = (...args: string[]) => podwire.run(["explain", "-f", GATEWAY, "--http", ...args, "-o", "json"]);
  const told = ask("http://shop.example/", "--gateway", "shop/gw");
  t.match(JSON.parse(told.stdout), { backend: "shop/front:80", rule: "HTTPRoute shop/r rules[0]" });
  t.match(told.stderr, /note: HTTPRoute shop\/lost: Accepted is False at Gateway gw: NoMatchingParent: /);
  t.match(JSON.parse(ask("http://shop.example/", "--gateway", "other").stdout), { status: 404 });
  const requests = file("gateway.jsonl", '{"host":"shop.example","path":"/","gateway":"gw"}\n');
  t.match(JSON.parse(ask(requests).stdout), { backend: "shop/front:80" });
});

t.test(
  "a connection to a Gateway: told, as JSON, and as a status; what is not asked right is said",
  async (t) => {
    const streams = file(
      "streams.yaml",
      yaml(
        ...served("front"),
        gateway([
          { name: "tcp", port: 5432, protocol: "TCP" },
          { name: "http", port: 80, protocol: "HTTP" },
        ]),
        {
          ...{
            apiVersion: "gateway.networking.k8s.io/v1alpha2",
            kind: "TCPRoute",
            metadata: { name: "r", namespace: "shop" },
          },
          spec: { parentRefs: [{ name: "gw" }], rules: [{ backendRefs: [{ name: "front", port: 80 }] }] },
        },
      ),
    );
    const ask = (...args: string[]) => podwire.run(["explain", "-f", streams, ...args]);
    const told = ask("--gateway", "gw", "--port", "5432", "--client", "192.0.2.7");
    t.equal(told.status, 0, told.stderr);
    t.match(told.stdout, /^TCP to port 5432 of Gateway gw from 192\.0\.2\.7\n/);
    t.match(told.stdout, /\nFORWARD to shop\/front:80 by TCPRoute shop\/r rules\[0\]\n$/);
    const json = JSON.parse(ask("--gateway", "shop/gw", "--port", "5432", "-o", "json").stdout) as object;
    t.match(json, {
      action: "stream",
      backend: "shop/front:80",
      distribution: [{ backend: "shop/front:80", share: 1 }],
    });
    t.match(ask("--gateway", "gw", "--port", "80"), {
      status: 0,
      stdout: /\nHTTP: its requests are decided one by one/,
    });
    t.match(ask("--gateway", "gw", "--port", "53", "--protocol", "UDP"), {
      status: 3,
      stdout: /\nCLOSE: there is no Gateway/,
    });
    for (const [words, problem] of [
      [["--gateway", "gw"], /^error: --port is missing/],
      [["--gateway", "gw", "--port", "0"], /--port 0: use a number from 1 to 65535/],
      [
        ["--gateway", "gw", "--port", "80", "--protocol", "SCTP"],
        /--protocol SCTP: to a Gateway use TCP, UDP/,
      ],
      [
        ["--gateway", "gw", "--port", "53", "--protocol", "UDP", "--sni", "a"],
        /--sni: datagrams have no TLS/,
      ],
      [["--gateway", "gw", "--port", "80", "--client", "me"], /--client me: not an IP address/],
      [["--gateway", "gw", "--port", "80", "--node", "n"], /--node: is about packets, and --gateway asks/],
      [["--gateway", "gw", "--port", "80", "-H", "a: b"], /--header: goes with --http METHOD URL/],
      [["--http", "http://a/", "--sni", "b"], /--sni: goes with --gateway and --port/],
    ] as [string[], RegExp][]) {
      const said = ask(...words);
      t.equal(said.status, 2, words.join(" "));
      t.match(said.stderr, problem);
    }
  },
);

t.test("the statuses that a controller would write: a row a condition, or JSON", async (t) => {
  const status = (...args: string[]) => podwire.run(["explain", "-f", GATEWAY, "--gateway-status", ...args]);
  const lines = status().stdout.split("\n");
  t.match(lines[0], /^OBJECT +PART +CONDITION +STATUS +REASON +MESSAGE/);
  t.ok(
    lines.some((line) => /^Gateway shop\/gw +http \(1 attached\) +Programmed +True +Programmed/.test(line)),
  );
  t.ok(lines.some((line) => /^HTTPRoute shop\/lost +at gw +Accepted +False +NoMatchingParent/.test(line)));
  const json = JSON.parse(status("-o", "json").stdout) as { object: string }[];
  t.same(
    json.map(({ object }) => object),
    ["Gateway shop/gw", "HTTPRoute shop/lost", "HTTPRoute shop/r"],
  );
  for (const [words, problem] of [
    [["--gateway-status", "--http", "x", "-f", GATEWAY], /use --from and --to, or/],
    [
      ["--gateway-status", "--node", "node1", "-f", GATEWAY],
      /--node: is about packets, and --gateway-status/,
    ],
    [["--gateway-status", "--client", "192.0.2.7", "-f", GATEWAY], /--client: goes with --http METHOD URL/],
  ] as const) {
    const said = podwire.run(["explain", ...words]);
    t.equal(said.status, 2, words.join(" "));
    t.match(said.stderr, problem);
    t.match(said.stderr, /^error: [^\n]+\n$/);
  }
  for (const words of [["--gateway-status"], ["--http", "http://h/", "--gateway", "gw"]]) {
    const said = podwire.run(["explain", ...words, "--lab", "no-such"]);
    t.match(
      said,
      { status: 1, stderr: /^error: lab no-such: not running: [^\n]+\n$/ },
      "without files a lab is asked",
    );
  }
});
