/** Whom the rules of services take the sender of a packet for: a pod, the node itself, or the outside. */
import { PortRole } from "../port.ts";
import { DetectLocal } from "../spec/node-config.ts";
import { SourceClass } from "../spec/services.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import * as localAddresses from "../table/local-addresses.ts";
import * as prefixSet from "../table/prefix-set.ts";
import type { Tables } from "../tables.ts";

const { SRC0, SRC1, SRC2, SRC3 } = TupleWord;
const V4_MAPPED = 0xffff;
const LOOPBACK_NET = 127;

/** SourceClass of the source of `key`, which came in by `inPort`, or by that out of the tunnel. */
export function sourceClassOf(t: Tables, key: Int32Array, inPort: number, fromTunnel: number): number {
  const detect = t.config.proxy.detectLocal;
  if (
    detect === DetectLocal.CIDR &&
    prefixSet.contains(t.addresses.podSources, key[SRC0], key[SRC1], key[SRC2], key[SRC3])
  ) {
    return SourceClass.POD;
  }
  if (detect === DetectLocal.POD_PORT && t.ports.role[inPort] === PortRole.POD && fromTunnel === 0) {
    return SourceClass.POD;
  }
  if (key[SRC2] === V4_MAPPED && key[SRC3] >>> 24 === LOOPBACK_NET) return SourceClass.NODE;
  return localAddresses.has(t.addresses.local, key[SRC0], key[SRC1], key[SRC2], key[SRC3])
    ? SourceClass.NODE
    : SourceClass.OUTSIDE;
}
