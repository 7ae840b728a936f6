import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Container, Pod } from "../../kube/objects.ts";
import { probe } from "./probe-helper.ts";
import { type Check, checkOf, type ProbePlace, Readiness } from "./prober.ts";

/** A probe that answers what it is told; each period lasts a few milliseconds. */
function scripted(
  answers: (boolean | undefined)[],
  thresholds: object = {},
): { readiness: Readiness; seen: boolean[] } {
  const seen: boolean[] = [];
  const check: Check = async () => {
    const ok = answers.shift();
    return ok === undefined ? undefined : { ok, message: ok ? "" : "no" };
  };
  const readiness: Readiness = new Readiness(
    { periodSeconds: 0.005, initialDelaySeconds: 0.001, ...thresholds },
    check,
    () => {
      if (seen.at(-1) !== readiness.ready) seen.push(readiness.ready);
    },
  );
  return { readiness, seen };
}

t.test("thresholds count answers in a row, no answer at all counts for nothing", async (t) => {
  const { readiness, seen } = scripted([true, false, false, true, false, false, false, true], {
    failureThreshold: 3,
  });
  readiness.start();
  await sleep(300);
  readiness.stop();
  t.same(seen, [true, false, true]);

  const slow = scripted([false, true, false, true, true], { successThreshold: 2 });
  slow.readiness.start();
  await sleep(200);
  t.same(slow.seen, [false, true]);
  slow.readiness.stop();
  t.equal(slow.readiness.ready, false, "a stopped container is not ready");
});

t.test("a container that was taken over goes on as it was", async (t) => {
  const { readiness } = scripted([]);
  readiness.start(true);
  t.equal(readiness.ready, true);
  readiness.stop();
});

t.test("httpGet and tcpSocket", async (t) => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/ok" ? 204 : 503;
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
  t.match(await probe({ ...at, kind: "tcp" }), { ok: true });
  t.match(await probe({ ...at, kind: "tcp", port: 1 }), { ok: false, message: /ECONNREFUSED/ });
});

t.test("named ports are looked up, and nothing is asked without a data path", async (t) => {
  const asked: object[] = [];
  let path = false;
  const place = {
    netns: "none",
    env: {},
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
  const check = checkOf(pod, container, place)!;
  t.equal(await check(), undefined);
  path = true;
  t.match(await check(), { ok: true });
  t.match(asked, [
    { kind: "http", host: "10.244.1.2", port: 8080, path: "/", headers: { Host: "x" }, timeoutMs: 2000 },
  ]);
  t.equal(checkOf(pod, { name: "c" }, place), undefined);
});
