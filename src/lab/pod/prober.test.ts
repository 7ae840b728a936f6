import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Container, Pod } from "../../kube/objects.ts";
import { probe } from "./probe-helper.ts";
import { type Check, checkOf, type ProbePlace, runHook } from "./probe-place.ts";
import { type ProbeKind, Prober } from "./prober.ts";

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !what(); i++) await sleep(10);
}

/** A probe that answers what it is told; each period lasts a few milliseconds. */
function scripted(answers: (boolean | undefined)[], thresholds: object = {}, kind: ProbeKind = "readiness") {
  const seen: boolean[] = [];
  const told: string[] = [];
  const check: Check = async () => {
    const ok = answers.shift();
    return ok === undefined ? undefined : { ok, message: ok ? "" : "no" };
  };
  const prober: Prober = new Prober(
    kind,
    { periodSeconds: 0.005, initialDelaySeconds: 0.001, ...thresholds },
    check,
    {
      onChange: () => {
        if (seen.at(-1) !== prober.succeeds) seen.push(prober.succeeds);
      },
      onFailure: (message) => told.push(message),
      onGiveUp: () => told.push("over"),
    },
  );
  return { prober, seen, told };
}

t.test("thresholds count answers in a row, no answer at all counts for nothing", async (t) => {
  const { prober, seen, told } = scripted([true, false, false, true, false, false, false, true], {
    failureThreshold: 3,
  });
  prober.start();
  await until(() => seen.length === 3);
  prober.stop();
  t.same(seen, [true, false, true]);
  t.same(told, ["no", "no", "no", "no", "no"], "a readiness probe ends nothing");

  const slow = scripted([false, true, false, true, true], { successThreshold: 2 });
  slow.prober.start();
  await until(() => slow.seen.length === 2);
  t.same(slow.seen, [false, true]);
  slow.prober.stop();
  t.equal(slow.prober.succeeds, false, "a stopped container is not ready");
});

t.test("a liveness probe that fails so often ends its container, and is not asked again", async (t) => {
  const answers = [true, false, true, false, false, true];
  const { prober, told } = scripted(answers, { failureThreshold: 2 }, "liveness");
  prober.start();
  t.equal(prober.succeeds, true, "it has not failed yet");
  await until(() => told.includes("over"));
  await sleep(30);
  prober.stop();
  t.same(told, ["no", "no", "no", "over"]);
  t.equal(answers.length, 1);
});

t.test(
  "a startup probe is asked early, but fails once a period; it is over with its first success",
  async (t) => {
    const often = scripted([false, false, false, true], { failureThreshold: 2, periodSeconds: 5 }, "startup");
    often.prober.start();
    await until(() => often.prober.succeeds);
    t.same([often.prober.succeeds, often.told], [true, ["no", "no", "no"]]);
    often.prober.stop();
    const once = scripted([true, false, false], { failureThreshold: 1 }, "startup");
    once.prober.start();
    await until(() => once.prober.succeeds);
    await sleep(30);
    t.same([once.prober.succeeds, once.told], [true, []]);
    once.prober.stop();
  },
);

t.test("a container that was taken over goes on as it was", async (t) => {
  const { prober } = scripted([]);
  prober.start(true);
  t.equal(prober.succeeds, true);
  prober.stop();
});

t.test("httpGet and tcpSocket", async (t) => {
  const server = createServer((request, response) => {
    response.statusCode = ["/ok", "/a%20%C3%A4"].includes(request.url ?? "") ? 204 : 503;
    if (request.url !== "/hang") response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const at = { id: 1, host: "127.0.0.1", port, timeoutMs: 200 };
  t.same(await probe({ ...at, kind: "http", path: "/ok" }), { id: 1, ok: true, message: "" });
  t.match(await probe({ ...at, kind: "http", path: "/no" }), { ok: false, message: /statuscode: 503/ });
  t.match(await probe({ ...at, kind: "http", path: "/hang" }), { ok: false, message: /deadline/ });
  t.match(await probe({ ...at, kind: "http", path: "/a ä" }), { ok: true }, "escaped as kubelet does");
  const headers = { x: "a\nb" };
  t.match(await probe({ ...at, kind: "http", path: "/ok", headers }), { ok: false, message: /header/ });
  t.match(await probe({ ...at, kind: "tcp", port: 70_000 }), { ok: false, message: /[Pp]ort/ });
  t.match(await probe({ ...at, kind: "tcp" }), { ok: true });
  t.match(await probe({ ...at, kind: "tcp", port: 1 }), { ok: false, message: /ECONNREFUSED/ });
});

t.test("named ports are looked up, and nothing is asked without a data path", async (t) => {
  const asked: object[] = [];
  let path = false;
  const place = {
    enter: () => ({ words: ["env"], env: { PATH: process.env.PATH } }),
    helper: { ask: async (request: object) => ({ id: asked.push(request), ok: true, message: "" }) },
    hasDataPath: () => path,
  } as unknown as ProbePlace;
  const pod = { status: { podIPs: [{ ip: "10.244.1.2" }] } } as Pod;
  const container: Container = {
    name: "c",
    ports: [{ name: "web", containerPort: 8080 }],
    readinessProbe: {
      httpGet: { port: "web", httpHeaders: [{ name: "Host", value: "x" }] },
      timeoutSeconds: 2,
    },
  };
  const check = checkOf(pod, container, container.readinessProbe, place)!;
  t.equal(await check(), undefined);
  path = true;
  t.match(await check(), { ok: true });
  t.match(asked, [
    { kind: "http", host: "10.244.1.2", port: 8080, path: "/", headers: { Host: "x" }, timeoutMs: 2000 },
  ]);
  t.equal(checkOf(pod, container, undefined, place), undefined);
  const grpc = checkOf(pod, container, { grpc: { port: 9, service: "s" } }, place)!;
  await grpc();
  t.match(asked.at(-1), { kind: "grpc", host: "10.244.1.2", port: 9, service: "s" });
});

t.test("a stand-in's exec probes succeed, and its HTTPS ones are asked without TLS", async (t) => {
  const asked: object[] = [];
  const place = (standsIn: boolean) =>
    ({
      enter: () => ({ words: ["env"], env: { PATH: process.env.PATH } }),
      helper: { ask: async (request: object) => ({ id: asked.push(request), ok: true, message: "" }) },
      hasDataPath: () => true,
      standsIn,
    }) as unknown as ProbePlace;
  const pod = { status: { podIPs: [{ ip: "10.244.1.2" }] } } as Pod;
  const exec = { exec: { command: ["false"] } };
  t.match(await checkOf(pod, { name: "c" }, exec, place(true))!(), { ok: true });
  t.match(await checkOf(pod, { name: "c" }, exec, place(false))!(), { ok: false });
  const https = { httpGet: { port: 8443, scheme: "HTTPS" } };
  for (const standsIn of [true, false]) await checkOf(pod, { name: "c" }, https, place(standsIn))!();
  t.match(asked, [{ https: false }, { https: true }]);
});

t.test("grpc: the answer is the health service's, whatever it serves", async (t) => {
  const asked: string[] = [];
  const server = createHttp2Server();
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const service = Buffer.concat(chunks).subarray(7).toString();
      asked.push(`${headers[":path"]} ${service}`);
      if (service === "hang") return;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": service === "gone" ? "5" : "0" }));
      const status = service === "sick" ? 2 : 1;
      stream.end(service === "gone" ? undefined : Buffer.from([0, 0, 0, 0, 2, 8, status]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const at = { id: 1, kind: "grpc", host: "127.0.0.1", port, timeoutMs: 300 } as const;
  t.same(await probe(at), { id: 1, ok: true, message: "" });
  t.same(asked, ["/grpc.health.v1.Health/Check "]);
  t.match(await probe({ ...at, service: "sick" }), { ok: false, message: /"NOT_SERVING"/ });
  t.match(await probe({ ...at, service: "gone" }), { ok: false, message: /code = 5/ });
  t.match(await probe({ ...at, service: "hang" }), { ok: false, message: /deadline exceeded/ });
  const long = "s".repeat(200);
  await probe({ ...at, service: long });
  t.ok(asked.at(-1)?.endsWith(`\u0001${long}`), "its length takes two bytes");
  t.match(await probe({ ...at, port: 1 }), { ok: false, message: /ECONNREFUSED/ });
});

t.test("hooks: commands, sleep, and what no kubelet runs", async (t) => {
  const place = {
    enter: () => ({ words: ["env"], env: { PATH: process.env.PATH } }),
    helper: { ask: async () => ({ id: 1, ok: false, message: "HTTP probe failed with statuscode: 500" }) },
    hasDataPath: () => true,
  } as unknown as ProbePlace;
  const how = { pod: { status: {} } as Pod, container: { name: "c" }, where: place, limitMs: 200 };
  t.equal(await runHook({ exec: { command: ["true"] } }, how), undefined);
  t.match(
    await runHook({ exec: { command: ["sh", "-c", "echo no; exit 3"] } }, how),
    /exited with an error: no/,
  );
  t.match(await runHook({ httpGet: { port: 1 } }, how), /statuscode: 500/);
  t.match(await runHook({ tcpSocket: { port: 1 } }, how), /invalid handler/);
  const began = Date.now();
  t.equal(await runHook({ sleep: { seconds: 9 } } as never, how), undefined);
  t.ok(Date.now() - began < 1000, "no longer than the grace period");
});
