/** The steps of a traced packet as a story in the words of the field: one line a stage, packets grouped. */

import { answerText, type TraceRecord } from "../../observe/trace-record.ts";
import { stageNamed } from "./stage-table.ts";

const STAGE_WIDTH = 16; // of the longest name

/** Lines of one packet: who and where in front of the first, the others under it. */
export function formatTrace(steps: readonly TraceRecord[]): string[] {
  const [first] = steps;
  if (first === undefined) return [];
  const where = [first.node, first.in].filter((word) => word !== undefined).join(" ");
  const head = `#${first.packet} ${where}`;
  const told = steps
    .map((step, i) => ({ stage: step.stage, text: stepText(step, steps[i - 1]) }))
    .filter(({ text }) => text !== "");
  return told.map(({ stage, text }, i) => {
    const margin = i === 0 ? head : "".padEnd(head.length);
    return `${margin}  ${stage.padEnd(STAGE_WIDTH)} ${text}`;
  });
}

/** What one stage did; `before` is the stage before it. */
export function stepText(step: TraceRecord, before?: TraceRecord): string {
  const text = stageNamed(step.stage)?.text(step, before) ?? step.hook;
  return [text, ending(step, text)].filter((part) => part !== "").join(": ");
}

/** The reason of a drop. That the plane keeps a packet goes without saying where the stage has said why. */
function ending(step: TraceRecord, text: string): string {
  if (step.verdict === "drop") return `DROP ${step.dropText ?? "without a reason"}${answerText(step)}`;
  return step.verdict === "consumed" && text === step.hook && text !== "" ? "taken by the plane" : "";
}
