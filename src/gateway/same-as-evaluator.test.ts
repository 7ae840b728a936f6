// The evaluator says what becomes of a request; the gateway has it become that: the same random objects and requests, over
// real sockets.
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Test, t } from "tap";
import { ip } from "../base/ip.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Choice, Decision, Forward, HeaderChange } from "../l7/decision.ts";
import { Evaluator } from "../l7/evaluator.ts";
import { type Header, type HttpRequest, headerOf } from "../l7/request.ts";
import { runningGateway } from "../testing/gateway/running-gateway.ts";
import { randomRoutes } from "../testing/l7/random-gateway.ts";
import { randomRouting } from "../testing/l7/random-ingress.ts";

const WORLDS = 40;
const REQUESTS = 25;
const SHOWN_MAX = 5;

/** What rules may set, add to and take away. */
const BACKENDS_OWN = { "X-Told": "by the backend", "X-A": "by the backend", Server: "a backend" };

interface Told {
  readonly url: string;
  readonly headers: readonly string[];
  readonly at: string;
}

/** A server at all addresses of loopback: endpoints are told apart by where they are asked. */
async function everywhere(t: Test): Promise<number> {
  const server = createServer((request, response) => {
    const { url = "", rawHeaders, socket } = request;
    const told: Told = { url, headers: rawHeaders, at: `${socket.localAddress}:${socket.localPort}` };
    request.resume();
    response.writeHead(200, BACKENDS_OWN).end(JSON.stringify(told));
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Endpoints at 10.244.… are on loopback instead, at this port; Gateways' ports are these. */
function moved(
  objects: readonly KubeObject[],
  port: number,
  ports: ReadonlyMap<number, number>,
): KubeObject[] {
  return objects.map((object) => {
    const copy = JSON.parse(JSON.stringify(object).replaceAll('"10.244.', '"127.244.'));
    const slicePorts: { port: number }[] = object.kind === "EndpointSlice" ? copy.ports : [];
    for (const each of slicePorts) each.port = port;
    const own = [...(copy.spec?.listeners ?? []), ...(copy.spec?.parentRefs ?? [])] as { port?: number }[];
    for (const each of own) if (each.port !== undefined) each.port = ports.get(each.port) ?? each.port;
    return copy as KubeObject;
  });
}

interface Answer {
  readonly status: number;
  /** "Name: value" */
  readonly headers: readonly string[];
  readonly body: string;
}

function send(request: HttpRequest, port: number): Promise<Answer> {
  const { method, target, host, headers, scheme, sni = "" } = request;
  const own: Header[] = [
    ...(host === undefined
      ? []
      : [
          { name: "Host", value: host },
          { name: "Connection", value: "close" },
        ]),
    ...headers,
  ];
  const lines = own.map(({ name, value }) => `${name}: ${value}\r\n`);
  const head = `${method} ${target} HTTP/1.${host === undefined ? 0 : 1}\r\n${lines.join("")}\r\n`;
  const text = `${head}${"b".repeat(Number(headerOf(headers, "content-length") ?? 0))}`;
  return new Promise((resolve, reject) => {
    const at = { port, host: "127.0.0.1" };
    const socket =
      scheme === "http"
        ? connect(at)
        : connectTls({ ...at, rejectUnauthorized: false, ...(sni !== "" && { servername: sni }) });
    let all = "";
    socket.on(scheme === "http" ? "connect" : "secureConnect", () => socket.write(text));
    socket.on("data", (chunk: Buffer) => (all += chunk.toString("latin1")));
    socket.on("error", reject);
    socket.on("end", () => {
      const [head = "", ...rest] = all.split("\r\n\r\n");
      socket.destroy();
      resolve({
        status: Number(head.split(" ")[1]),
        headers: head.split("\r\n").slice(1),
        body: rest.join("\r\n\r\n"),
      });
    });
  });
}

const valuesOf = (headers: readonly string[], name: string): string[] =>
  headers
    .map((line) => /^([^:]*): ?(.*)$/.exec(line) ?? [])
    .filter(([, own = ""]) => own.toLowerCase() === name.toLowerCase())
    .map(([, , value = ""]) => value);

/** Headers that rules speak of: as the changes leave the backend's own. */
function unlike(headers: readonly string[], changes: readonly HeaderChange[]): string {
  const own = Object.entries(BACKENDS_OWN).map(([name, value]): Header => ({ name, value }));
  const wanted = changes.reduce<Header[]>((all, { what, name, value }) => {
    const rest = what === "add" ? all : all.filter((each) => each.name.toLowerCase() !== name.toLowerCase());
    return what === "remove" ? rest : [...rest, { name, value }];
  }, own);
  const names = new Set([...own, ...changes].map(({ name }) => name.toLowerCase()));
  for (const name of names) {
    const all = wanted.filter((each) => each.name.toLowerCase() === name).map(({ value }) => value);
    const given = valuesOf(headers, name);
    if (given.join(" | ") !== all.join(" | "))
      return `answered ${name}: ${given.join(" | ")}, decided ${all.join(" | ")}`;
  }
  return "";
}

const FRAMING = new Set(["connection", "content-length", "transfer-encoding", "keep-alive"]);

/** "": the answer is what was decided. */
function difference({ action }: Decision, { status, headers, body }: Answer): string {
  if (action.kind === "answer") {
    const [location] = valuesOf(headers, "location");
    if (status !== action.status || location !== action.location)
      return `answered ${status} ${location ?? ""}, decided ${action.status} ${action.location ?? ""}`;
    const gone = action.headers.filter(({ name, value }) => !valuesOf(headers, name).includes(value));
    return gone.map(({ name, value }) => `decided to answer ${name}: ${value}, and did not`).join(", ");
  }
  if (status !== 200) {
    const isShare = action.choices.some((each) => each.backend === undefined && each.status === status);
    return isShare ? "" : `answered ${status}, decided to forward`;
  }
  let told: Told;
  try {
    told = JSON.parse(body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1));
  } catch {
    return `no backend's answer: ${body}`;
  }
  const choices = action.choices.filter(({ backend }) => backend?.endpoints.includes(told.at) === true);
  if (choices.length === 0) return `asked ${told.at}, which is no endpoint of a choice`;
  if (told.url !== action.target) return `asked for ${told.url}, decided ${action.target}`;
  const unlikeAll = choices.map((choice) => unlikeChoice(action, choice, told, headers));
  return unlikeAll.includes("") ? "" : unlikeAll[0]; // two may lead to one Service, in other words
}

/** What a backend was told, and what its answer became. */
function unlikeChoice(action: Forward, choice: Choice, told: Told, headers: readonly string[]): string {
  const given = told.headers.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${told.headers[i + 1]}`] : []));
  const wanted = (choice.headers ?? action.headers).map(({ name, value }) => `${name}: ${value}`);
  const shown = (lines: string[]): string =>
    lines
      .filter((line) => line !== "Host: " && !FRAMING.has(line.split(":")[0].toLowerCase()))
      .sort()
      .join(" | ");
  if (shown(given) !== shown(wanted)) return `told ${shown(given)}, decided ${shown(wanted)}`;
  const { affinity } = action;
  const marks = affinity === undefined ? [] : valuesOf(headers, affinity.header ?? "set-cookie");
  const isMarked =
    affinity === undefined ||
    marks.some((each) => affinity.header !== undefined || each.startsWith(`${affinity.cookie}=`));
  if (!isMarked) return `decided on ${affinity.cookie}, answered ${marks.join(", ")}`;
  return unlike(headers, choice.answerHeaders ?? action.answerHeaders);
}

interface World {
  readonly objects: readonly KubeObject[];
  readonly requests: readonly HttpRequest[];
}

/** How many answers there were of each kind. */
async function compare(
  t: Test,
  make: (seed: number) => World,
  isIngress: boolean,
): Promise<Map<string, number>> {
  const first = Date.now() & 0xfffff;
  t.comment(`seeds from ${first}`);
  const at = await everywhere(t);
  const kinds = new Map<string, number>();
  let differences = 0;
  for (let seed = first; seed < first + WORLDS; seed++) {
    const world = make(seed);
    const from = 20_000 + (seed % 1000) * 10;
    const ports = new Map(isIngress ? [] : [80, 8080].map((port, i) => [port, from + i]));
    const objects = moved(world.objects, at, ports);
    const running = await runningGateway(t, objects, {
      ...(!isIngress && { ingress: undefined, gateways: "all" }),
    });
    const evaluator = new Evaluator(objects);
    const open = new Set(running.gateway.ports.map(({ number }) => number));
    const answers = world.requests.map(async (given) => {
      const own = given.scheme === "https" ? running.tlsPort : running.port;
      const port = isIngress ? own : (ports.get(given.port ?? 80) as number);
      if (!open.has(port)) return;
      const sni =
        given.scheme === "https" ? (given.host ?? "").split(":")[0].replace(/\.$/, "").toLowerCase() : "";
      const request = {
        ...{ ...given, port, client: ip("127.0.0.1") },
        ...(given.scheme === "https" && { sni }),
      };
      const decision = evaluator.evaluate(request);
      const answer = await send(request, port);
      const kind = decision.action.kind === "answer" ? String(decision.action.status) : "forward";
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      const wrong = difference(decision, answer);
      if (wrong === "" || ++differences > SHOWN_MAX) return;
      t.fail(
        `seed ${seed}: ${given.method} ${given.scheme}://${given.host}:${given.port}${given.target}: ${wrong}`,
      );
    });
    await Promise.all(answers);
    await running.gateway.close();
  }
  t.comment([...kinds].map(([kind, count]) => `${kind}: ${count}`).join(", "));
  t.equal(differences, 0, `differences of ${[...kinds.values()].reduce((a, b) => a + b, 0)} requests`);
  return kinds;
}

t.test("Ingresses: what the evaluator says of a request becomes of it", async (t) => {
  const kinds = await compare(t, (seed) => randomRouting(seed, REQUESTS, "all"), true);
  for (const kind of ["forward", "404", "301", "308", "503", "400", "403", "413", "204"])
    t.ok((kinds.get(kind) ?? 0) > 0, kind);
});

t.test("Gateways: what the evaluator says of a request becomes of it", async (t) => {
  const kinds = await compare(t, (seed) => randomRoutes(seed, REQUESTS, "all"), false);
  for (const kind of ["forward", "404", "500", "204"]) t.ok((kinds.get(kind) ?? 0) > 0, kind);
});
