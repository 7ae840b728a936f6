// Which objects a command line names: KIND NAME…, KIND/NAME…, KIND,KIND…, "all". Those of -f: api/manifest-targets.
import { usageError } from "./errors.ts";

export interface Target {
  word: string;
  names: string[];
  /** Of an object that a manifest names. */
  namespace?: string | undefined;
  /** Kinds that this lab may not know. */
  optional: boolean;
}

/** kubectl's "all", as far as these kinds are here, in its order. */
const ALL = "pods,replicationcontrollers,services,daemonsets,deployments,replicasets,statefulsets,jobs".split(
  ",",
);

export function wordTargets(verb: string, kinds: string, names: string[]): Target[] {
  const words = [kinds, ...names];
  if (words.some((word) => word.includes("/"))) {
    return words.map((word) => {
      const [kind, name, more] = word.split("/");
      if (!kind || !name || more !== undefined) throw usageError(`${verb} ${word}: write KIND/NAME for each`);
      return { word: kind, names: [name], optional: false };
    });
  }
  return kinds.split(",").flatMap((word): Target[] => {
    if (word === "") throw usageError(`${verb} ${kinds}: a kind is missing`);
    if (word !== "all") return [{ word, names, optional: false }];
    return ALL.map((each) => ({ word: each, names, optional: true }));
  });
}
