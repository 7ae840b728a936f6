import t from "tap";
import { ProxyHealth } from "./proxy-health.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);

function create(): { health: ProxyHealth; pass: (ms: number) => void } {
  let now = START;
  const health = new ProxyHealth(60_000, () => now);
  return { health, pass: (ms) => (now += ms) };
}

t.test("a proxy that starts is healthy, and says when it answered", async (t) => {
  const { health } = create();
  t.same(health.healthz(), {
    status: 200,
    body: {
      lastUpdated: "2026-01-02T03:04:05.000Z",
      currentTime: "2026-01-02T03:04:05.000Z",
      nodeEligible: true,
      healthy: true,
      status: { IPv4: { lastUpdated: "0001-01-01T00:00:00Z", healthy: true } },
    },
  });
  t.notOk("nodeEligible" in health.livez().body, "the node is not livez's business");
});

t.test("a change may wait for less than the time-out, whether queued or being applied", async (t) => {
  for (const applying of [false, true]) {
    const { health, pass } = create();
    health.queued();
    if (applying) health.applying();
    pass(59_999);
    t.ok(health.healthy);
    pass(1);
    t.notOk(health.healthy);
    t.match(health.healthz(), { status: 503, body: { nodeEligible: true, healthy: false } });
    t.match(health.livez(), { status: 503, body: { status: { IPv4: { healthy: false } } } });
    if (!applying) health.applying();
    t.notOk(health.healthy, "not before it is in force");
    health.applied();
    t.ok(health.healthy);
    t.match(health.livez().body, { lastUpdated: "2026-01-02T03:05:05.000Z" });
  }
});

t.test("the oldest change counts, and one that came meanwhile goes on waiting", async (t) => {
  const { health, pass } = create();
  health.queued();
  pass(30_000);
  health.queued();
  pass(30_000);
  t.notOk(health.healthy, "the second does not make the first younger");
  health.applying();
  health.queued();
  health.applied();
  t.ok(health.healthy);
  pass(60_000);
  t.notOk(health.healthy, "the third was not part of that round");
});

t.test("applying nothing is fine: a round without events", async (t) => {
  const { health, pass } = create();
  health.applying();
  pass(100_000);
  t.ok(health.healthy);
});

t.test("a node that is to go is unhealthy to load balancers, but alive", async (t) => {
  const { health } = create();
  health.setNode(false, ["IPv4", "IPv6"]);
  t.match(health.healthz(), { status: 503, body: { nodeEligible: false, healthy: true } });
  t.match(health.livez(), { status: 200, body: { status: { IPv4: {}, IPv6: {} } } });
  t.ok(health.healthy, "health check node ports go on answering 200");
  health.setNode(true, []);
  t.equal(health.healthz().status, 200);
});
