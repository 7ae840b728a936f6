// Events are stored as core/v1 has them; events.k8s.io/v1 tells the same in other words.
import type { KubeObject } from "../kube/objects.ts";
import type { Resource } from "./resource.ts";

type Fields = Readonly<Record<string, unknown>>;

/** core/v1's field, events.k8s.io/v1's. */
const RENAMED: readonly (readonly [core: string, events: string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["reportingComponent", "reportingController"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
];

function renamed(object: KubeObject, apiVersion: string, names: ReadonlyMap<string, string>): KubeObject {
  const given = Object.entries(object as unknown as Fields);
  const entries = given.map(([name, value]) => [names.get(name) ?? name, value]);
  return { ...Object.fromEntries(entries), apiVersion } as KubeObject;
}

const TO_EVENTS = new Map(RENAMED);
const TO_CORE = new Map(RENAMED.map(([core, events]) => [events, core]));

export const EVENTS: Resource = {
  ...{ group: "events.k8s.io", version: "v1", kind: "Event", plural: "events", singular: "event" },
  ...{ shortNames: ["ev"], categories: [], namespaced: true, subresources: [], storedAs: "Event" },
  convert: {
    fromStored: (object) => renamed(object, "events.k8s.io/v1", TO_EVENTS),
    toStored: (object) => renamed(object, "v1", TO_CORE),
  },
};
