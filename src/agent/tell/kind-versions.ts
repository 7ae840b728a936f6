/**
 * How far an agent has come in what its API server tells: by kind, for each kind comes by a connection of its own, and
 * one may be ahead of another.
 */
import type { KubeObject } from "../../kube/objects.ts";

export class KindVersions {
  readonly #seen: Record<string, number> = {};
  #applied: Readonly<Record<string, number>> = {};

  /** An object came, or is gone as of its version. */
  saw({ kind, metadata }: KubeObject): void {
    const version = Number(metadata.resourceVersion) || 0;
    this.#seen[kind] = Math.max(this.#seen[kind] ?? 0, version);
  }

  /** What has come is to be in the plane when the function that this returns is called. */
  begin(): () => void {
    const versions = { ...this.#seen };
    return () => {
      this.#applied = versions;
    };
  }

  /** Kind → the latest resourceVersion that the plane works with. */
  get applied(): Readonly<Record<string, number>> {
    return this.#applied;
  }
}
