// The pieces of a change lead where the change leads, none is large, and no address is nobody's in between.

import fc from "fast-check";
import t from "tap";
import * as serviceEndpoints from "../dataplane/change/service-endpoints.ts";
import { setOf } from "../dataplane/change/service-sets.ts";
import * as serviceChange from "../dataplane/change/services.ts";
import {
  Action,
  FrontendKind,
  type ServicePortSpec,
  type ServiceUpdate,
} from "../dataplane/spec/services.ts";
import * as services from "../dataplane/table/service/services.ts";
import { Services } from "../dataplane/table/service/services.ts";
import { frontendName } from "../testing/world/frontend-name.ts";
import type { PlaneMessage } from "./messages.ts";
import { splitServices } from "./split-services.ts";

const TCP4 = (4 << 8) | 6;

function spec(id: number, vip: number, endpoints: readonly number[]): ServicePortSpec {
  const each = { action: Action.DNAT, set: 0, masquerade: false };
  return {
    id,
    name: `s${id}`,
    protocol: 6,
    affinitySec: 0,
    endpoints: endpoints.map((n) => ({ w0: 0, w1: 0, w2: 0xffff, w3: n, port: 8080, flags: 6 })),
    sets: [endpoints.map((_, i) => i)],
    frontends: [
      {
        kind: FrontendKind.CLUSTER_IP,
        ...{ w0: 0, w1: 0, w2: 0xffff, w3: vip, family: 4, port: 80 },
        sourceRanges: null,
        byClass: [each, each, each],
      },
    ],
  };
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

function apply(table: Services, message: PlaneMessage): void {
  if (message.type === "services") serviceChange.update(table, message.update);
  else if (message.type === "endpoints") serviceEndpoints.addPart(table, message.part);
  else throw new Error(message.type);
}

/** Service and endpoints, sorted, at an address. */
function at(table: Services, vip: number): string {
  const f = services.find(table, 0, 0, 0xffff, vip, 80, TCP4);
  if (f < 0) return "nobody";
  const addresses = setOf(table, f, 0).map((slot) => table.epAddr[slot * 4 + 3]);
  return `${frontendName(table, f)} ${addresses.sort((a, b) => a - b)}`;
}

function sizeOf(message: PlaneMessage): number {
  if (message.type === "endpoints") return message.part.endpoints.length;
  if (message.type !== "services") return 0;
  return message.update.upsert.reduce((n, s) => n + s.endpoints.length, message.update.remove.length);
}

const wanted = fc.record({
  endpoints: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1000 })),
  from: fc.integer({ min: 0, max: 300 }),
  remove: fc.boolean(),
});

t.test("the pieces of a change, one after the other, are the change", async () => {
  fc.assert(
    fc.property(fc.array(fc.array(wanted, { minLength: 1, maxLength: 12 }), { maxLength: 4 }), (changes) => {
      const [whole, split] = [new Services(6, 15), new Services(6, 15)];
      for (const change of changes) {
        const update: ServiceUpdate = { upsert: [], remove: [] };
        for (const [i, { endpoints, from, remove }] of change.entries()) {
          if (remove) update.remove.push(i);
          else update.upsert.push(spec(i, i, range(from, endpoints)));
        }
        serviceChange.update(whole, update);
        for (const message of splitServices(update)) {
          if (sizeOf(message) > 64) throw new Error(`${sizeOf(message)} in one message`);
          apply(split, message);
        }
        for (const vip of range(0, 12)) {
          if (at(whole, vip) !== at(split, vip))
            throw new Error(`${vip}: ${at(whole, vip)} ${at(split, vip)}`);
        }
        if (split.staged.size > 0) throw new Error("something staged is left");
      }
    }),
    { numRuns: 60 },
  );
});

t.test("many services are many messages, a change of nothing is none", async (t) => {
  const upsert = range(1, 1000).map((id) => spec(id, id, range(id * 10, 10)));
  const messages = [...splitServices({ upsert, remove: range(2000, 100) })];
  t.ok(messages.length > 80, `${messages.length}`);
  t.ok(messages.every((message) => sizeOf(message) <= 64));
  t.same([...splitServices({ upsert: [], remove: [] })], []);
});

t.test("an address that changes hands is never nobody's", async (t) => {
  const table = new Services(12, 15);
  const many = range(100, 300);
  const all = [1, 2, 3, ...many].map((id) => spec(id, id, range(id * 10, 20)));
  serviceChange.update(table, { upsert: all, remove: [] });
  // 1 and 2 swap their addresses; 3 goes and its address is a new service's; the others change beside it.
  const upsert = [
    ...many.map((id) => spec(id, id, range(id * 10, 15))),
    spec(1, 2, range(10, 20)),
    spec(2, 1, range(20, 300)),
    spec(4, 3, range(40, 20)),
  ];
  let pieces = 0;
  for (const message of splitServices({ upsert, remove: [3], together: [1, 2, 3, 4] })) {
    apply(table, message);
    pieces++;
    for (const vip of [1, 2, 3]) t.not(at(table, vip), "nobody");
  }
  t.ok(pieces > 10);
  t.same(
    [1, 2, 3].map((vip) => at(table, vip).split(" ")[0]),
    ["s2", "s1", "s4"],
  );
});
