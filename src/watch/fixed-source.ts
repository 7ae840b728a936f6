// Objects that are given once and stay as they are.
import type { KubeObject } from "../kube/objects.ts";
import type { ObjectSource, SourceListener } from "./source.ts";

export class FixedSource implements ObjectSource {
  readonly #objects: readonly KubeObject[];

  constructor(objects: readonly KubeObject[]) {
    this.#objects = objects;
  }

  start(listener: SourceListener): void {
    listener.events(
      this.#objects.map((object) => ({ type: "ADDED", object })),
      true,
    );
  }

  close(): void {}
}
