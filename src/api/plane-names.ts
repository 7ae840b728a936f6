/** What the plane knows by number, as people know it: for the records of a node that has these objects. */

import { formatRule, policiesOf } from "../compile/policy/rule-names.ts";
import { standingOfAll } from "../compile/policy/rule-standing.ts";
import type { PlaneNames } from "../observe/trace-record.ts";
import type { NodeMessages } from "../plane/node-messages.ts";
import type { DesiredState } from "../watch/desired-state.ts";
import { routeText } from "./route-text.ts";

export function planeNames(
  messages: NodeMessages,
  state: DesiredState,
  port: (id: number) => string,
): PlaneNames {
  return {
    mode: messages.config.proxy.mode,
    port,
    service: (id) => messages.services.nameOf(id),
    route: (index) => routeText(messages.topology, index),
    rule: (id) => {
      const name = messages.policies.names.nameOf(id);
      if (name === undefined) return undefined;
      const since = standingOfAll(name, messages.policies.policies); // of a known connection, it may be
      const became = since === undefined ? "" : ` (rule since ${since})`;
      return { rule: `${formatRule(name)}${became}`, policies: policiesOf(name) };
    },
    policy: (service) => {
      const spec = state.services.get(service.split(":")[0])?.spec;
      return {
        internalLocal: spec?.internalTrafficPolicy === "Local",
        externalLocal: spec?.externalTrafficPolicy === "Local",
      };
    },
  };
}
