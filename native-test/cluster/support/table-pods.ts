// Pods for tables: each state that their STATUS has another word for.
import { at, condition, type Given, NS, type State } from "./table-given.ts";

const running: State = { running: { startedAt: at(100) } };
const ended = (exitCode: number, more: State = {}): State => ({
  terminated: { exitCode, startedAt: at(90), finishedAt: at(75), ...more },
});
const waiting = (reason: string): State => ({ waiting: { reason } });
const container = (name: string, state: State, more: State = {}): State => ({
  ...{ name, image: "i", imageID: "", ready: false, restartCount: 0, state },
  ...more,
});

function pod(name: string, status: State, spec: State = {}, metadata: State = {}): Given {
  const containers = [
    { name: "a", image: "i" },
    { name: "b", image: "i" },
  ];
  const object = {
    metadata: { name, ...metadata },
    spec: { nodeName: "node1", containers, ...spec },
    status,
  };
  const given = { path: `/api/v1/${NS}/pods`, object };
  return metadata.finalizers === undefined ? given : { ...given, isDeleted: true };
}

const init = [
  { name: "i", image: "i" },
  { name: "side", image: "i", restartPolicy: "Always" },
];
const up = { ready: true, started: true };
export const PODS: readonly Given[] = [
  pod("bare", { nominatedNodeName: "node7" }, { nodeName: undefined }),
  pod(
    "gated",
    { conditions: [condition("PodScheduled", "False", { reason: "SchedulingGated" })] },
    {
      nodeName: undefined,
      schedulingGates: [{ name: "example.com/gate" }],
    },
  ),
  pod(
    "fine",
    {
      phase: "Running",
      podIPs: [{ ip: "10.244.1.2" }, { ip: "fd00::2" }],
      podIP: "10.244.1.2",
      conditions: [condition("Ready"), condition("example.com/a"), condition("example.com/b", "False")],
      containerStatuses: [
        container("a", running, { ...up, restartCount: 2, lastState: ended(1) }),
        container("b", running, { ...up, restartCount: 1, lastState: ended(137, { finishedAt: at(700) }) }),
      ],
    },
    { readinessGates: ["a", "b", "c"].map((each) => ({ conditionType: `example.com/${each}` })) },
  ),
  pod("back-off", {
    phase: "Running",
    containerStatuses: [container("a", waiting("CrashLoopBackOff")), container("b", running, up)],
  }),
  pod("creating", {
    phase: "Pending",
    containerStatuses: [
      container("a", waiting("ContainerCreating")),
      container("b", waiting("PodInitializing")),
    ],
  }),
  pod("half-done", {
    phase: "Running",
    containerStatuses: [container("a", ended(0, { reason: "Completed" })), container("b", running, up)],
  }),
  pod("half-ready", {
    phase: "Running",
    conditions: [condition("Ready")],
    containerStatuses: [container("a", ended(0, { reason: "Completed" })), container("b", running, up)],
  }),
  pod("done", {
    phase: "Succeeded",
    containerStatuses: ["a", "b"].map((name) => container(name, ended(0, { reason: "Completed" }))),
  }),
  pod("mixed", {
    phase: "Failed",
    containerStatuses: [
      container("a", ended(0, { reason: "Completed" })),
      container("b", ended(3, { reason: "Error" })),
    ],
  }),
  pod("signal", {
    phase: "Failed",
    containerStatuses: [container("a", ended(137, { signal: 9 })), container("b", ended(4))],
  }),
  pod("evicted", { phase: "Failed", reason: "Evicted", message: "low on memory" }),
  ...[
    ["init-1", [container("i", running)]],
    ["init-2", [container("i", waiting("ImagePullBackOff"))]],
    ["init-3", [container("i", ended(1, { reason: "Error" }), { restartCount: 4, lastState: ended(1) })]],
    ["init-4", [container("i", ended(137, { signal: 9 }))]],
    ["init-5", [container("i", ended(2))]],
    [
      "init-6",
      [container("i", ended(0)), container("side", running, { restartCount: 3, lastState: ended(1) })],
    ],
    [
      "init-7",
      [container("i", ended(0)), container("side", running, { ...up, restartCount: 3, lastState: ended(1) })],
    ],
  ].map(([name, initContainerStatuses]) =>
    pod(
      name as string,
      {
        phase: "Pending",
        initContainerStatuses,
        containerStatuses: [
          container("a", waiting("PodInitializing")),
          container("b", waiting("PodInitializing")),
        ],
      },
      { initContainers: init },
    ),
  ),
  pod(
    "initialized",
    {
      phase: "Running",
      conditions: [condition("Initialized"), condition("Ready")],
      initContainerStatuses: [
        container("i", ended(0), { restartCount: 5 }),
        container("side", running, { restartCount: 1 }),
      ],
      containerStatuses: [container("a", running, up), container("b", running, up)],
    },
    { initContainers: init },
  ),
  pod("ending", { phase: "Running" }, {}, { finalizers: ["example.com/stay"] }),
  pod("lost", { phase: "Running", reason: "NodeLost" }, {}, { finalizers: ["example.com/stay"] }),
  pod("ended-ending", { phase: "Succeeded" }, {}, { finalizers: ["example.com/stay"] }),
];
