// Where each verb's code is. It is loaded when the verb is used: start-up time is what one feels in a shell.
import type { VerbModule } from "./verbs.ts";

// Each import is written out, so that the bundle (scripts/bundle.mjs) finds it.
const MODULES: Readonly<Record<string, () => Promise<VerbModule>>> = {
  lab: () => import("./lab/lab.ts"),
  kubeconfig: () => import("./lab/kubeconfig.ts"),
  exec: () => import("./lab/exec.ts"),
  attach: () => import("./lab/attach.ts"),
  apply: () => import("./objects/apply.ts"),
  create: () => import("./objects/create.ts"),
  run: () => import("./objects/run.ts"),
  expose: () => import("./objects/expose.ts"),
  edit: () => import("./objects/edit.ts"),
  diff: () => import("./objects/change/diff.ts"),
  "api-resources": () => import("./objects/api-resources.ts"),
  delete: () => import("./objects/delete.ts"),
  get: () => import("./objects/get.ts"),
  describe: () => import("./objects/describe.ts"),
  label: () => import("./objects/label.ts"),
  annotate: () => import("./objects/annotate.ts"),
  wait: () => import("./objects/wait.ts"),
  rollout: () => import("./objects/rollout.ts"),
  scale: () => import("./objects/scale.ts"),
  status: () => import("./status.ts"),
  check: () => import("./check/check.ts"),
  logs: () => import("./lab/logs.ts"),
  "port-forward": () => import("./lab/port-forward.ts"),
  cp: () => import("./lab/cp.ts"),
  agent: () => import("./agent.ts"),
  gateway: () => import("./gateway.ts"),
  mesh: () => import("./mesh.ts"),
  dns: () => import("./dns.ts"),
  explain: () => import("./offline/explain.ts"),
  trace: () => import("./observe/trace.ts"),
  capture: () => import("./observe/capture.ts"),
  replay: () => import("./offline/replay.ts"),
  conntrack: () => import("./observe/conntrack.ts"),
  show: () => import("./observe/show.ts"),
  rules: () => import("./offline/rules.ts"),
  policy: () => import("./policy/policy.ts"),
  ping: () => import("./observe/ping.ts"),
  bench: () => import("./bench.ts"),
  install: () => import("./install/install.ts"),
  uninstall: () => import("./install/uninstall.ts"),
  cni: () => import("./install/cni.ts"),
  completion: () => import("./completion.ts"),
  __complete: () => import("./completion.ts"),
};

export async function loadVerb(name: string): Promise<VerbModule> {
  return MODULES[name]();
}
