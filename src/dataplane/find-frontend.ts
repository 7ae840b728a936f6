/**
 * Which service claims a packet (Linux: KUBE-SERVICES, then KUBE-NODEPORTS for what is addressed to the node),
 * shared by stages. Answers a frontend of `services`, or -1.
 */
import * as localAddresses from "./table/local-addresses.ts";
import * as services from "./table/services.ts";
import type { Tables } from "./tables.ts";

export function findFrontend(t: Tables, key: Int32Array): number {
  const port = key[8] & 0xffff;
  const f = services.find(t.services, key[4], key[5], key[6], key[7], port, key[9]);
  if (f >= 0 || !localAddresses.has(t.local, key[4], key[5], key[6], key[7])) return f;
  return services.find(t.services, 0, 0, 0, 0, port, key[9]);
}
