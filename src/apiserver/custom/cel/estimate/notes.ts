// What the check of an expression finds out of its parts.
import type { Overload } from "../overloads.ts";
import type { Node } from "../syntax.ts";
import type { CelType } from "../type.ts";

export interface NotedCall {
  /** "_==_", "size", "ip.isCanonical". */
  readonly name: string;
  readonly isMember: boolean;
  /** All that its arguments may turn out to need. */
  readonly overloads: readonly Overload[];
}

export interface Notes {
  readonly types: Map<Node, CelType>;
  /** Macros are none. */
  readonly calls: Map<Node, NotedCall>;
}
