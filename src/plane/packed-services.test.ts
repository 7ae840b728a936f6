import t from "tap";
import type { EndpointSpec, FrontendSpec, ServicePortSpec } from "../dataplane/spec/services.ts";
import { packServices, unpackServices } from "./packed-services.ts";

// Required: who adds a field has to name it here, and sees that it does not arrive.
const endpoint: Required<EndpointSpec> = {
  w0: 1,
  w1: -2,
  w2: 0xffff,
  w3: 0x7fffffff,
  port: 65535,
  flags: 7,
  weight: 0,
};
const frontend: Required<FrontendSpec> = {
  ...{ kind: 6, w0: -1, w1: 2, w2: 3, w3: 4, family: 6, port: 80 },
  sourceRanges: [
    { w0: 1, w1: 2, w2: 3, w3: 4, prefixLen: 128 },
    { w0: 0, w1: 0, w2: 0, w3: 0, prefixLen: 0 },
  ],
  byClass: [
    { action: 0, set: 1, masquerade: true },
    { action: 1, set: 0, masquerade: false },
    { action: 2, set: 2, masquerade: true },
  ],
};
const full: Required<ServicePortSpec> = {
  ...{ id: 7, name: "a/b:c", digest: [1, -1, 0, 5], protocol: 132, affinitySec: 86400 },
  ...{ ownAffinity: true, scheduler: 9, sharedSchedule: false },
  endpoints: [endpoint, { w0: 0, w1: 0, w2: 0xffff, w3: -1, port: 1, flags: 0 }],
  sets: [[0, 1], [], [1]],
  frontends: [frontend, { ...frontend, sourceRanges: null, family: 4 }, { ...frontend, sourceRanges: [] }],
};
const bare: ServicePortSpec = {
  ...{ id: 8, name: "", protocol: 6, affinitySec: 0, endpoints: [], sets: [], frontends: [] },
};

t.test("services come out as they were put in, and nothing of one change stays for the next", async (t) => {
  const large = { ...bare, endpoints: Array.from({ length: 1000 }, (_, i) => ({ ...endpoint, port: i })) };
  for (const upsert of [[full], [bare, full], [], [large, bare], [full]]) {
    const update = { upsert, remove: [3, 4] };
    t.strictSame(unpackServices(structuredClone(packServices(update))), update);
  }
});
