/** An explanation for people: who to whom, one line a step, then the verdict. */
import type { ExplainStep, Explanation } from "./explanation.ts";

export function formatExplanation(
  e: Explanation,
  names: { from: string; to: string; node: string },
): string[] {
  const port = e.protocol === "ICMP" ? "" : ` port ${e.port}`;
  const head = `${named(e.from, names.from)} → ${named(e.to, names.to)}${port} ${e.protocol}, seen on ${names.node}`;
  const places = e.steps.map(placeOf);
  const width = Math.max(0, ...places.map((place) => place.length));
  const lines = e.steps.map((step, i) => `  ${places[i].padEnd(width)}  ${ruleOf(step)}`.trimEnd());
  return [head, ...lines, verdictLine(e)];
}

function named(address: string, name: string): string {
  return name === address ? address : `${name} (${address})`;
}

function placeOf({ hook, table, chain }: ExplainStep): string {
  return [hook, table, chain].filter((part) => part !== "").join(" ");
}

function ruleOf({ rule, text }: ExplainStep): string {
  if (rule === "") return text;
  return text === "" ? rule : `${rule}   # ${text}`;
}

function verdictLine(e: Explanation): string {
  switch (e.verdict) {
    case "accept":
      return `ACCEPT: ${e.reason}${e.masquerade ? "; source rewritten" : ""}`;
    case "dnat": {
      const one = e.endpoints.length === 1 ? "" : `one of ${e.endpoints.length}: `;
      return `DNAT to ${one}${e.endpoints.join(", ")}; source ${e.masquerade ? "rewritten" : "kept"}: ${e.reason}`;
    }
    default:
      return `${e.verdict.toUpperCase()}: ${e.reason}`;
  }
}
