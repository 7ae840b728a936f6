/**
 * What this agent says of its node to whoever serves Node objects: as long as its data plane serves the node, the
 * network is available, and otherwise not. Kernels of nodes with another network go on forwarding when its agent ends;
 * this plane ends with it.
 */

import { VERSION } from "../../base/version.ts";
import type { NodeReport, ObjectSource } from "../../watch/source.ts";

/** So long an agent that ends waits for its last word to be written. */
const LAST_WORD_MS = 2000;

export class NodeReporting {
  readonly #source: Pick<ObjectSource, "report" | "reported">;
  #annotations: NodeReport["annotations"] = {};
  #hasEnded = false;

  constructor(source: Pick<ObjectSource, "report" | "reported">) {
    this.#source = source;
  }

  /**
   * After each change. `problem`: why the plane cannot serve the node; "": it does. `podMtu`: bytes. `more`: what other
   * nodes have to know.
   */
  applied(problem: string, podMtu: number, more: NodeReport["annotations"]): void {
    if (this.#hasEnded) return;
    this.#annotations = {
      ...more,
      "podwire.dev/version": VERSION,
      ...(problem === "" && { "podwire.dev/pod-mtu": String(podMtu) }),
    };
    if (problem === "") this.#say("False", "PodwireIsUp", "Podwire is running on this node");
    else this.#say("True", "PodwireIsNotReady", problem);
  }

  /** The agent ends in order. */
  async ends(): Promise<void> {
    this.#hasEnded = true;
    if (Object.keys(this.#annotations).length === 0) return; // it said nothing
    this.#say("True", "PodwireIsDown", "Podwire is shutting down on this node");
    await this.#source.reported?.(LAST_WORD_MS);
  }

  #say(status: NodeReport["condition"]["status"], reason: string, message: string): void {
    const annotations = this.#annotations;
    this.#source.report?.({ annotations, condition: { status, reason, message } });
  }
}
