/** Makes the table of VTEPs. */
import { RouteKind, type VtepSpec } from "../spec/routes.ts";
import { Meta } from "../table/connection/tuple.ts";
import * as hashIndex from "../table/hash-index.ts";
import type { Routes } from "../table/routes.ts";
import * as vteps from "../table/vteps.ts";

const { ZONE, MESH_ZONE } = Meta;
const FIRST_ZONE = 1 << 16;

/** Compiles a list; the index of a VTEP is its place in it. */
export function createVteps(
  specs: readonly VtepSpec[],
  allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): vteps.Vteps {
  const t = new vteps.Vteps(specs.length, allocate(vteps.Vteps.bytesFor(specs.length)));
  for (const [vtep, { w0, w1, w2, w3, macHi, macLo, keepsClients = false }] of specs.entries()) {
    t.outer0[vtep] = w0;
    t.outer1[vtep] = w1;
    t.outer2[vtep] = w2;
    t.outer3[vtep] = w3;
    t.macHi[vtep] = macHi;
    t.macLo[vtep] = macLo;
    t.zone[vtep] = keepsClients ? zoneOf(macHi, macLo) : 0;
    if (vteps.findByOuter(t, w0, w1, w2, w3) < 0) {
      insert(t.byOuter, hashIndex.mixTrusted(w0, w1, w2, w3) & t.mask, t.mask, vtep);
    }
    if (vteps.findByMac(t, macHi, macLo) < 0) {
      insert(t.byMac, hashIndex.mixTrusted(0, 0, macHi, macLo) & t.mask, t.mask, vtep);
    }
  }
  return t;
}

/**
 * Two VTEPs may have the same one. Then a client's second connection with the same tuple, by the other of them, is not
 * told apart: one in 65,535 of what is rare already.
 */
function zoneOf(macHi: number, macLo: number): number {
  const zone = hashIndex.mixTrusted(0, 0, macHi, macLo) & ZONE;
  return zone === 0 || zone === MESH_ZONE ? FIRST_ZONE : zone;
}

/** Notes by which routes packets get to a VTEP that no route names: answers to who came by it. */
export function findRoutes(t: vteps.Vteps, { kind, vtep, family, count }: Routes): void {
  t.route4.fill(-1);
  t.route6.fill(-1);
  for (let r = count - 1; r >= 0; r--) {
    if (kind[r] === RouteKind.VTEP) (family[r] === 4 ? t.route4 : t.route6)[vtep[r]] = r;
  }
}

function insert(index: Int32Array, home: number, mask: number, vtep: number): void {
  let slot = home;
  while (index[slot] !== 0) slot = (slot + 1) & mask;
  index[slot] = vtep + 1;
}
