// Pods that thousands of policies select: what they say is right, and compiled without memory or time that grows with the
// square of their number.
import t from "tap";
import { ACTION_BITS } from "../../dataplane/spec/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import { CompiledPolicy } from "../../testing/policy/compiled-policy.ts";
import { testNamespace, testPod, testPolicy } from "../../testing/world/policy-world.ts";
import { formatRule } from "./rule-names.ts";

const POLICIES = 3000;
const PORTS = 10;
const BOUND_MS = 10_000; // it takes half a second; with the square, a minute and gigabytes
const V4_MAPPED = 0xffff;
const [FROM, TO] = [0x0a_f4_01_02, 0x0a_f4_01_03];

t.test("a pod of 3,000 policies with ten ports each", async (t) => {
  const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });
  const policies = Array.from({ length: POLICIES }, (_, i) =>
    testPolicy(`p${i}`, {
      ...app("db"),
      // Every other port, so that what lies between is denied.
      ingress: [
        {
          from: [app("web")],
          ports: Array.from({ length: PORTS }, (_, k) => ({ port: 1 + 2 * (i * PORTS + k) })),
        },
      ],
    }),
  );
  const pods = [
    testNamespace("default"),
    testPod({ name: "web", ips: ["10.244.1.2"] }),
    testPod({ name: "db", ips: ["10.244.1.3"] }),
  ];
  const compiled = new CompiledPolicy();
  const read = [...pods, ...policies].map((object) => manifestOf(object, "test").object);
  const began = performance.now();
  compiled.become(read);
  const tookMs = performance.now() - began;
  t.ok(tookMs < BOUND_MS, `${Math.round(tookMs)} ms`);
  const { table } = compiled;
  const row = policy.ingressRow(table, policy.subjectOf(table, 0, 0, V4_MAPPED, TO));
  const peer = policy.identityOf(table, 0, 0, V4_MAPPED, FROM);
  const rule = (port: number): string =>
    formatRule(compiled.compiler.names.nameOf(policy.decide(table, row, peer, 6, port) >> ACTION_BITS));
  for (const port of [1, 3, 19, 21, 59_999]) {
    const n = (port - 1) / 2;
    t.equal(
      rule(port),
      `default/p${Math.floor(n / PORTS)} ingress[0].from[0].ports[${n % PORTS}]`,
      `${port}`,
    );
  }
  for (const port of [0, 2, 20, 59_998, 60_000, 65_535]) t.match(rule(port), /^isolated by default\/p0, /);
});
