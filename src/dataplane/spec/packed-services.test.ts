import t from "tap";
import { packServices, specOfText, specText, unpackServices } from "./packed-services.ts";
import type { EndpointSpec, FrontendSpec, ServicePortSpec } from "./services.ts";

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

t.test("a service port's text says all but its name, and another text whatever else is other", async (t) => {
  for (const spec of [full, bare, { ...full, name: "" }])
    t.strictSame(specOfText(specText(spec), spec.name), spec);
  const { ownAffinity: _, ...shared } = full;
  const other: ServicePortSpec[] = [
    bare,
    shared,
    { ...full, id: 8 },
    { ...full, digest: [1, -1, 0, 6] },
    { ...full, sets: [[0, 1], [1]] },
    { ...full, endpoints: [{ ...endpoint, weight: 1 }, full.endpoints[1]] },
    { ...full, frontends: [frontend, { ...frontend, sourceRanges: [] }, full.frontends[2]] },
  ];
  t.equal(new Set([full, ...other].map(specText)).size, 1 + other.length);
});
