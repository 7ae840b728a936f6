import t from "tap";
import { podStatusWord, readyColumn, restartsOf } from "../../apiserver/table/pod-columns.ts";
import type { Pod } from "../../kube/objects.ts";
import { isStuck, podReason } from "../lab-status.ts";
import { type ContainerView, podStatus } from "./pod-status.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "default" },
  spec: { containers: [{ name: "c" }], restartPolicy: "Always" },
  status: {},
} as Pod;

const running: ContainerView = {
  container: { name: "c" },
  phase: "running",
  reason: "",
  startedAtMs: 1000,
  restarts: 0,
  lastExit: undefined,
  ready: true,
  probeMessage: "",
};
const exit = {
  exitCode: 137,
  signal: "SIGKILL" as const,
  reason: "Error",
  message: "",
  startedAtMs: 0,
  finishedAtMs: 1000,
};

const statusOf = (views: ContainerView[], failure?: string, of = pod): Pod => ({
  ...of,
  status: podStatus(
    { pod: of, hostAddress: "192.168.50.11", startedAtMs: 0, failure, containers: views },
    5000,
  ),
});

t.test("a running container makes a ready pod", async (t) => {
  const p = statusOf([running]);
  t.match(p.status, { phase: "Running", hostIP: "192.168.50.11", startTime: "1970-01-01T00:00:00Z" });
  t.equal(p.status.conditions?.find((c) => c.type === "Ready")?.status, "True");
  t.same([podStatusWord(p), readyColumn(p), restartsOf(p), podReason(p)], ["Running", "1/1", 0, ""]);
});

t.test("a killed container in back-off says so", async (t) => {
  const p = statusOf([
    { ...running, phase: "waiting", reason: "CrashLoopBackOff", restarts: 2, lastExit: exit },
  ]);
  t.same([podStatusWord(p), readyColumn(p), restartsOf(p)], ["CrashLoopBackOff", "0/1", 2]);
  t.equal(podReason(p), "c: killed by signal 9");
  t.equal(p.status.phase, "Running");
});

t.test("a pod that was restarted keeps the reason of the last end", async (t) => {
  const p = statusOf([{ ...running, restarts: 1, lastExit: exit }]);
  t.match(p.status.containerStatuses?.[0].lastState, {
    terminated: { exitCode: 137, finishedAt: "1970-01-01T00:00:01Z" },
  });
  t.equal(podReason(p), "c: killed by signal 9");
});

t.test("Never: the exit statuses decide between Succeeded and Failed", async (t) => {
  const once = { ...pod, spec: { ...pod.spec, restartPolicy: "Never" } } as Pod;
  const ended: ContainerView = {
    ...running,
    phase: "terminated",
    reason: "Completed",
    lastExit: { ...exit, exitCode: 0, reason: "Completed" },
  };
  const over = statusOf([ended], undefined, once);
  const readiness = (p: Pod) => p.status.conditions?.find((c) => c.type === "Ready");
  t.same([podStatusWord(over), podReason(over), readiness(over)?.reason], ["Completed", "", "PodCompleted"]);
  const failed = statusOf([{ ...ended, lastExit: { ...exit, exitCode: 2 } }], undefined, once);
  t.same([failed.status.phase, readiness(failed)?.reason], ["Failed", "PodFailed"]);
});

t.test("a pod that could not be set up is pending, with the reason", async (t) => {
  const p = statusOf([{ ...running, phase: "waiting", reason: "ContainerCreating", ready: false }], "ip: no");
  t.match(p.status, { phase: "Pending", message: "ip: no" });
  t.same([podStatusWord(p), podReason(p)], ["ContainerCreating", "ip: no"]);
});

t.test("a probe that fails says why", async (t) => {
  const p = statusOf([{ ...running, ready: false, probeMessage: "connect ECONNREFUSED" }]);
  t.equal(podReason(p), "containers with unready status: [c]: readiness probe: connect ECONNREFUSED");
});

t.test("a pod of a node that was given up is not ready, whatever its containers are", async (t) => {
  const view = { pod, hostAddress: "x", startedAtMs: 0, failure: undefined, containers: [running] };
  const conditions = (isLost: boolean) =>
    podStatus({ ...view, isLost }, 0).conditions?.map(({ type, status, reason }) => [type, status, reason]);
  t.same(conditions(true)?.slice(1, 3), [
    ["Ready", "False", "NodeNotReady"],
    ["ContainersReady", "True", undefined],
  ]);
  t.same(conditions(false)?.[1], ["Ready", "True", undefined]);
});

t.test("a condition that stays keeps its time", async (t) => {
  const first = statusOf([running]);
  const status = podStatus(
    { pod: first, hostAddress: "x", startedAtMs: 0, failure: undefined, containers: [running] },
    99_000,
  );
  t.equal(status.conditions?.[0].lastTransitionTime, "1970-01-01T00:00:05Z");
});

t.test(
  "waiting is in vain for a pod that was refused, fits nowhere or has failed, and for no other",
  async (t) => {
    const nodes = ["node1"];
    const stuck = (status: object, more: object = {}): boolean =>
      isStuck({ ...pod, ...more, status } as Pod, nodes);
    t.ok(stuck({ phase: "Failed", reason: "NodePorts" }));
    const unschedulable = { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1" };
    t.ok(stuck({ phase: "Pending", conditions: [unschedulable] }));
    t.ok(stuck({ phase: "Pending" }, { spec: { ...pod.spec, nodeName: "node2" } }));
    t.notOk(stuck({ phase: "Pending" }, { spec: { ...pod.spec, nodeName: "node1" } }));
    t.notOk(stuck({ phase: "Pending" }));
    t.notOk(
      stuck({ phase: "Failed" }, { metadata: { ...pod.metadata, deletionTimestamp: "x" } }),
      "soon gone",
    );
    t.notOk(
      stuck(statusOf([{ ...running, phase: "waiting", reason: "CrashLoopBackOff" }]).status),
      "tried again",
    );
  },
);

t.test(
  "a readiness gate that is not open says so in the kubelet's words, and no waiting opens it",
  async (t) => {
    const readinessGates = [{ conditionType: "example.com/lb" }];
    const gated = { ...pod, spec: { ...pod.spec, nodeName: "node1", readinessGates } } as Pod;
    const p = statusOf([running], undefined, gated);
    t.equal(podReason(p), 'corresponding condition of pod readiness gate "example.com/lb" does not exist.');
    t.ok(isStuck(p, ["node1"]));
    t.notOk(
      isStuck(statusOf([{ ...running, ready: false }], undefined, gated), ["node1"]),
      "its container may come",
    );
    const conditions = (status: string) => ({ conditions: [{ type: "example.com/lb", status }] });
    const shut = statusOf([running], undefined, { ...gated, status: conditions("False") } as Pod);
    t.equal(podReason(shut), 'the status of pod readiness gate "example.com/lb" is not "True", but False');
    const open = statusOf([running], undefined, { ...gated, status: conditions("True") } as Pod);
    t.notOk(isStuck(open, ["node1"]));
  },
);

t.test(
  "init containers: the status column counts them, the pod waits, sidecars count as containers",
  async (t) => {
    const initContainers = [{ name: "wait" }, { name: "mesh", restartPolicy: "Always" }];
    const of = { ...pod, spec: { ...pod.spec, initContainers } } as unknown as Pod;
    const waiting = { ...running, phase: "waiting" as const, reason: "PodInitializing", ready: false };
    const [wait, mesh] = of.spec.initContainers as ContainerView["container"][];
    const view = (inits: Partial<ContainerView>[], main: ContainerView): Pod => {
      const views = inits.map((each, i) => ({ ...waiting, container: [wait, mesh][i], ...each }));
      const parts = {
        pod: of,
        hostAddress: "x",
        startedAtMs: 0,
        failure: undefined,
        inits: views,
        containers: [main],
      };
      return { ...of, status: podStatus(parts, 5000) };
    };
    const shown = (p: Pod) => [podStatusWord(p), readyColumn(p), p.status.phase];
    const done = { phase: "terminated" as const, lastExit: { ...exit, exitCode: 0, reason: "Completed" } };
    t.same(shown(view([{}, {}], waiting)), ["Init:0/2", "0/2", "Pending"]);
    t.same(shown(view([{ phase: "running", reason: "" }, {}], waiting)), ["Init:0/2", "0/2", "Pending"]);
    const failing = view([{ reason: "CrashLoopBackOff", restarts: 3, lastExit: exit }, {}], waiting);
    t.same(shown(failing), ["Init:CrashLoopBackOff", "0/2", "Pending"]);
    const started = { phase: "running" as const, reason: "", started: true, ready: true };
    t.same(shown(view([done, { phase: "running", reason: "", started: false }], waiting)).slice(0, 1), [
      "Init:1/2",
    ]);
    const up = view([done, started], { ...waiting, phase: "running", reason: "", ready: true });
    t.same(shown(up), ["Running", "2/2", "Running"]);
    t.equal(up.status.conditions?.[0].status, "True");
    t.match(view([{}, {}], waiting).status.conditions?.[0], {
      reason: "ContainersNotInitialized",
      message: "containers with incomplete status: [wait mesh]",
    });
    t.same(shown(view([done, started], waiting)), ["PodInitializing", "1/2", "Pending"]);
  },
);
