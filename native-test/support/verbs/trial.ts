// What a verb of kubectl is tried by, and what becomes of it.
import type { Kubectl } from "./kubectl.ts";

export interface Trial {
  /** As the table names it. */
  readonly verb: string;
  /** The first minor version of kubectl 1 that has it; absent: all have. */
  readonly since?: number;
  /** It is to be refused in these words, by all or by those up to a minor version. */
  readonly refusal?: { readonly words: string; readonly upTo?: number };
  /** Throws where the lab's API or the cluster behind it does not do what the verb is for. */
  readonly run: (kubectl: Kubectl) => Promise<unknown>;
}

export type Cell =
  | { readonly is: "done" | "absent" }
  | { readonly is: "refused"; readonly words: string }
  | { readonly is: "failed"; readonly why: string };

export async function tryVerb({ since = 0, refusal, run }: Trial, kubectl: Kubectl): Promise<Cell> {
  if (kubectl.minor < since) return { is: "absent" };
  try {
    await run(kubectl);
  } catch (error) {
    return { is: "failed", why: (error as Error).message };
  }
  const { words = "", upTo = Number.POSITIVE_INFINITY } = refusal ?? {};
  return words !== "" && kubectl.minor <= upTo ? { is: "refused", words } : { is: "done" };
}

/** As Markdown: a row a verb, a column a kubectl. */
export function tableText(
  versions: readonly string[],
  rows: readonly (readonly [string, readonly Cell[]])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(["kubectl", ...versions]),
    `|${"---|".repeat(versions.length + 1)}`,
    ...rows.map(([verb, cells]) => line([verb, ...cells.map(cellText)])),
  ].join("\n");
}

function cellText(cell: Cell): string {
  switch (cell.is) {
    case "done":
      return "yes";
    case "absent":
      return "has none";
    case "refused":
      return `refused: ${cell.words}`;
    case "failed":
      return "**NO**";
  }
}
