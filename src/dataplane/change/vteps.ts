/** Makes the table of VTEPs. */
import type { VtepSpec } from "../spec/routes.ts";
import * as hashIndex from "../table/hash-index.ts";
import * as vteps from "../table/vteps.ts";

/** Compiles a list; the index of a VTEP is its place in it. */
export function createVteps(
  specs: readonly VtepSpec[],
  allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): vteps.Vteps {
  const t = new vteps.Vteps(specs.length, allocate(vteps.Vteps.bytesFor(specs.length)));
  for (const [vtep, { w0, w1, w2, w3, macHi, macLo }] of specs.entries()) {
    t.outer0[vtep] = w0;
    t.outer1[vtep] = w1;
    t.outer2[vtep] = w2;
    t.outer3[vtep] = w3;
    t.macHi[vtep] = macHi;
    t.macLo[vtep] = macLo;
    if (vteps.findByOuter(t, w0, w1, w2, w3) < 0) {
      insert(t.byOuter, hashIndex.mixTrusted(w0, w1, w2, w3) & t.mask, t.mask, vtep);
    }
    if (vteps.findByMac(t, macHi, macLo) < 0) {
      insert(t.byMac, hashIndex.mixTrusted(0, 0, macHi, macLo) & t.mask, t.mask, vtep);
    }
  }
  return t;
}

function insert(index: Int32Array, home: number, mask: number, vtep: number): void {
  let slot = home;
  while (index[slot] !== 0) slot = (slot + 1) & mask;
  index[slot] = vtep + 1;
}
