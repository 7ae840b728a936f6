import t from "tap";
import { whereFrom } from "../context.ts";
import { choosePlace, type Here } from "./open-nodes.ts";

const here = (labs: string[], running: string[], hasAgent: boolean): Here => {
  return { labs, isRunning: (lab) => running.includes(lab), hasAgent };
};
const AGENT = { agent: "/run/podwire/agent.sock" };
const unnamed = { lab: undefined, agent: undefined };

t.test("what is named is asked, whatever else there is", async (t) => {
  const all = here(["default"], ["default"], true);
  t.same(choosePlace({ lab: "b", agent: undefined }, all), { lab: "b" });
  t.same(choosePlace({ lab: undefined, agent: "/x" }, all), { agent: "/x" });
});

t.test("without a word: the lab that runs, else the agent of this machine", async (t) => {
  const cases: [string, Here, unknown][] = [
    ["a lab and an agent", here(["default"], ["default"], true), { lab: "default" }],
    ["a lab that is dead, and an agent", here(["default"], [], true), AGENT],
    ["a lab that is dead alone", here(["default"], [], false), { lab: "default" }],
    ["the only lab, of another name", here(["x"], ["x"], true), { lab: "x" }],
    ["several labs and an agent", here(["x", "y"], ["x", "y"], true), AGENT],
    [
      "several labs alone: the lab's own error names them",
      here(["x", "y"], ["x"], false),
      { lab: "default" },
    ],
    ["an agent alone", here([], [], true), AGENT],
    ["nothing", here([], [], false), undefined],
  ];
  for (const [what, around, choice] of cases) t.same(choosePlace(unnamed, around), choice, what);
});

t.test("flags come before the environment, a lab before an agent, and not both", async (t) => {
  const env = { PODWIRE_LAB: "e", PODWIRE_AGENT: "/e" };
  t.same(whereFrom(undefined, undefined, env), { lab: "e", agent: undefined });
  t.same(whereFrom(undefined, "/f", env), { lab: undefined, agent: "/f" });
  t.same(whereFrom("f", undefined, env), { lab: "f", agent: undefined });
  t.same(whereFrom(undefined, undefined, { PODWIRE_LAB: "", PODWIRE_AGENT: "/e" }), {
    lab: undefined,
    agent: "/e",
  });
  t.same(whereFrom(undefined, undefined, {}), unnamed);
  t.throws(() => whereFrom("f", "/f", {}), { exitCode: 2, message: /^--lab and --agent name two places/ });
});
