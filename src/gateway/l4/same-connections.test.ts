// The evaluator says what becomes of a connection or of datagrams; the gateway has it become that: the same random
// objects and connections, over real sockets.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { connect as connectTls, createServer as createTls } from "node:tls";
import { type Test, t } from "tap";
import { ip } from "../../base/ip.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ConnectionDecision } from "../../l7/connection.ts";
import { Evaluator } from "../../l7/evaluator.ts";
import { runningGateway } from "../../testing/gateway/running-gateway.ts";
import { Authority, type Issued } from "../../testing/l7/authority.ts";
import { objectsOf } from "../../testing/l7/objects.ts";
import {
  type AskedConnection,
  randomStreams,
  STREAM_FOURTHS,
  STREAM_PREFIX,
  STREAM_THIRDS,
} from "../../testing/l7/random-streams.ts";
import { allOf } from "../../testing/l7/stream-world.ts";
import { lookFirst } from "./first-bytes.ts";

const WORLDS = 30;
const WORLDS_MAX = 120; // where one of the kinds has not come about
const CONNECTIONS = 25;
const KINDS = ["tcp stream", "tcp close", "tcp requests", "udp stream", "tcp stream with a certificate"];
const SHOWN_MAX = 5;
const HANDSHAKE = 22;
const MOVED_TO = "127.244.";
const PORTS = { tcp: 21_001, udp: 21_002, http: 21_003, tls: [21_004, 21_005] };
const SAID = "hello\r\n\r\n"; // no request: who reads requests answers 400
const SILENT_MS = 200; // before it is believed that no datagram comes back
const PATIENCE_MS = 10_000;

t.setTimeout(180_000);

/** What came of a connection: how it was answered, from where, and by which certificate. */
interface Seen {
  readonly text: string;
  /** Common name; "": there was no TLS, or no handshake. */
  readonly cert: string;
}

/** Servers at all endpoints: where they were asked, plain (P) or by a TLS of their own (T). */
async function servers(t: Test, own: Issued): Promise<{ readonly tcp: number; readonly udp: number }> {
  const open = new Set<Socket>();
  const answer = (kind: string, socket: Socket): void => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(`${kind} ${socket.localAddress}:${socket.localPort}`));
    socket.resume();
  };
  const secure = createTls(own);
  secure.on("tlsClientError", () => {});
  secure.on("secureConnection", (tls) => answer("T", tls));
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on("error", () => {});
    void lookFirst(socket, PATIENCE_MS, (chunk) => ({ value: chunk[0], used: 0 })).then((first) => {
      if (first !== HANDSHAKE) answer("P", socket);
      else secure.emit("connection", socket);
    });
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  const tcp = (server.address() as AddressInfo).port;
  const udp = 21_010;
  const sockets = STREAM_THIRDS.flatMap((third) => STREAM_FOURTHS.map((fourth) => `${third}.${fourth}`)).map(
    (rest) => {
      const socket = createSocket("udp4");
      const at = `${MOVED_TO}${rest}`;
      socket.on("message", (_, from) => socket.send(`P ${at}:${udp}`, from.port, from.address));
      socket.bind(udp, at);
      return socket;
    },
  );
  await Promise.all(sockets.map((socket) => once(socket, "listening")));
  t.teardown(() => {
    for (const each of open) each.destroy();
    for (const each of sockets) each.close();
    server.close();
    secure.close();
  });
  return { tcp, udp };
}

async function streamSeen(host: string, { port, sni }: AskedConnection): Promise<Seen> {
  const below = connect({ port, host });
  below.on("error", () => {});
  below.setTimeout(PATIENCE_MS, () => below.destroy());
  if (sni === undefined) {
    below.write(SAID);
    return { text: await allOf(below), cert: "" };
  }
  const tls = connectTls({
    ...{ socket: below, rejectUnauthorized: false, ...(sni !== "" && { servername: sni }) },
  });
  let cert = "";
  tls.on("error", () => {});
  below.on("close", () => tls.destroy());
  tls.on("secureConnect", () => {
    cert = String(tls.getPeerCertificate().subject.CN);
    tls.write(SAID);
  });
  const text = await allOf(tls);
  tls.destroy();
  return { text, cert };
}

async function datagramSeen(host: string, port: number, isAnswered: boolean): Promise<Seen> {
  const socket = createSocket("udp4");
  const answer = new Promise<string>((resolve) => {
    socket.on("message", (bytes) => resolve(String(bytes)));
    setTimeout(() => resolve(""), isAnswered ? PATIENCE_MS : SILENT_MS);
  });
  socket.on("error", () => {});
  socket.send(SAID, port, host);
  const text = await answer;
  socket.close();
  return { text, cert: "" };
}

/** Whether some of it leads nowhere, and all of it. */
function lost({ action }: ConnectionDecision): { readonly some: boolean; readonly all: boolean } {
  if (action.kind !== "stream") return { some: true, all: true };
  const drawn = action.choices.filter(({ share }) => share > 0);
  const isLost = drawn.map(({ backend }) => backend === undefined || backend.endpoints.length === 0);
  return { some: isLost.includes(true), all: !isLost.includes(false) };
}

/** "": what came of it is what was decided. */
function difference(decision: ConnectionDecision, { sni }: AskedConnection, { text, cert }: Seen): string {
  const { action } = decision;
  const shown = decision.cert?.split("/")[1] ?? "";
  const told = `${JSON.stringify(text.slice(0, 80))} with ${cert || "no certificate"}`;
  if (action.kind === "close") return text === "" && cert === "" ? "" : `${told}, decided to close`;
  if (action.kind === "requests") {
    if (sni !== undefined && shown === "") return text === "" ? "" : `${told}, decided to show nothing`;
    const isAnswered = text.startsWith("HTTP/1.1 400 ") && cert === shown;
    return isAnswered ? "" : `${told}, decided to read requests with ${shown || "no certificate"}`;
  }
  if (text === "") return lost(decision).some ? "" : `${told}, decided to carry it`;
  const isTheirs = sni !== undefined && shown === "";
  const ends = action.choices.flatMap(({ backend }) => backend?.endpoints ?? []);
  const wanted = ends.map((end) => `${isTheirs ? "T" : "P"} ${end}`);
  if (!wanted.includes(text)) return `${told}, decided ${wanted.join(" or ")}`;
  const own = isTheirs ? "behind" : shown;
  return cert === own ? "" : `${told}, decided the certificate ${own || "of nobody"}`;
}

t.test("what the evaluator says of a connection becomes of it", async (t) => {
  const first = Date.now() & 0xfffff;
  t.comment(`seeds from ${first}`);
  const root = await Authority.make("root");
  const [one, two, behind] = await Promise.all([
    root.issue({ names: ["a.t", "b.t", "*.w.t"], subject: "one" }),
    root.issue({ names: ["*.t", "other.example"], subject: "two" }),
    root.issue({ names: ["any.t"], subject: "behind" }),
  ]);
  const secrets = Object.entries({ one, two }).map(([name, { cert, key }]) => ({
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "shop" } },
    ...{ type: "kubernetes.io/tls", stringData: { "tls.crt": cert, "tls.key": key } },
  }));
  const served = await servers(t, behind);
  const kinds = new Map<string, number>();
  let differences = 0;
  const isEnough = (): boolean => KINDS.every((kind) => kinds.has(kind));
  for (let seed = first; seed < first + (isEnough() ? WORLDS : WORLDS_MAX); seed++) {
    const world = randomStreams(seed, CONNECTIONS, { ports: PORTS, served, secrets });
    const objects = objectsOf(...world.objects).map(
      (each) => JSON.parse(JSON.stringify(each).replaceAll(STREAM_PREFIX, MOVED_TO)) as KubeObject,
    );
    const host = `127.99.${(seed >> 8) & 255}.${seed & 255 || 1}`; // nobody else's ports
    const running = await runningGateway(t, objects, {
      ...{ ingress: undefined, gateways: "all", address: [host] },
    });
    const evaluator = new Evaluator(objects);
    const asks = world.connections.map(async (asked) => {
      const { protocol, port } = asked;
      const decision = evaluator.connect({ ...asked, gateway: "shop/gw", client: ip("127.0.0.1") });
      const { some, all } = lost(decision);
      const seen =
        protocol === "tcp" ? await streamSeen(host, asked) : await datagramSeen(host, port, !some && !all);
      const kind = `${protocol} ${decision.action.kind}${decision.cert === undefined ? "" : " with a certificate"}`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      const wrong = difference(decision, asked, seen);
      if (wrong === "" || ++differences > SHOWN_MAX) return;
      t.fail(`seed ${seed}: ${protocol} ${port} ${asked.sni ?? "without TLS"}: ${wrong}: ${decision.reason}`);
    });
    await Promise.all(asks);
    await running.gateway.close();
  }
  const count = [...kinds.values()].reduce((a, b) => a + b, 0);
  t.comment([...kinds].map(([kind, n]) => `${n} ${kind}`).join(", "));
  t.equal(differences, 0, `differences of ${count} connections`);
  for (const kind of KINDS) t.ok((kinds.get(kind) ?? 0) > 0, kind);
});
