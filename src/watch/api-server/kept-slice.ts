/**
 * An EndpointSlice as a node keeps it. Of an endpoint only its addresses are its own: they stand in one text, and what it
 * says beside them is one value for all endpoints that say the same. So an endpoint takes a tenth of what its object
 * would; who asks for endpoints gets objects made of it.
 */
import { formatIp, parseIp } from "../../base/ip.ts";
import type { Endpoint, EndpointSlice } from "../../kube/objects.ts";
import { KeptMetadata } from "./kept-metadata.ts";

type Beside = Omit<Endpoint, "addresses">;

/** Neither is part of an address or a domain name. */
const BETWEEN_ENDPOINTS = " ";
const BETWEEN_ADDRESSES = ",";
/** Characters of an IPv4 address that is packed. */
const PACKED = 4;
/** As many as a slice may have; the characters of more would be too many arguments for one call. */
const MOST_PACKED = 1000;

export class KeptSlice extends KeptMetadata {
  readonly addressType: string;
  readonly ports: EndpointSlice["ports"];
  /** Where each endpoint has one IPv4 address, as nearly all have: its bytes as characters. Else texts. */
  readonly isPacked: boolean;
  readonly addresses: string;
  readonly beside: readonly Beside[];

  /** `share` answers a value that says the same, and the same one for all that do. */
  constructor({ metadata, addressType, ports, endpoints }: EndpointSlice, share: <T>(value: T) => T) {
    super(metadata, share);
    this.addressType = addressType;
    this.ports = share(ports);
    const packed = packedAddresses(endpoints);
    this.isPacked = packed !== undefined;
    this.addresses =
      packed ?? endpoints.map((each) => each.addresses.join(BETWEEN_ADDRESSES)).join(BETWEEN_ENDPOINTS);
    this.beside = endpoints.map(({ addresses: _, ...beside }) => share(beside));
  }

  get apiVersion(): string {
    return "discovery.k8s.io/v1";
  }

  get kind(): "EndpointSlice" {
    return "EndpointSlice";
  }

  get endpoints(): Endpoint[] {
    if (this.beside.length === 0) return [];
    if (this.isPacked)
      return this.beside.map((beside, i) => ({ addresses: [unpacked(this.addresses, i)], ...beside }));
    const addresses = this.addresses.split(BETWEEN_ENDPOINTS);
    return this.beside.map((beside, i) => ({ addresses: addresses[i].split(BETWEEN_ADDRESSES), ...beside }));
  }

  /** As everybody writes it. */
  toJSON(): EndpointSlice {
    const { apiVersion, kind, metadata, addressType, endpoints, ports } = this;
    return { apiVersion, kind, metadata, addressType, endpoints, ports };
  }
}

/** Undefined: not all of them are one IPv4 address, written as everybody writes it. */
function packedAddresses(endpoints: readonly Endpoint[]): string | undefined {
  if (endpoints.length > MOST_PACKED) return undefined;
  const bytes: number[] = [];
  for (const { addresses } of endpoints) {
    const address = addresses.length === 1 ? parseIp(addresses[0]) : null;
    if (address?.family !== 4 || formatIp(address) !== addresses[0]) return undefined;
    const { w3 } = address;
    bytes.push(w3 >>> 24, (w3 >>> 16) & 0xff, (w3 >>> 8) & 0xff, w3 & 0xff);
  }
  return String.fromCharCode(...bytes);
}

function unpacked(addresses: string, endpoint: number): string {
  const at = endpoint * PACKED;
  return [0, 1, 2, 3].map((i) => addresses.charCodeAt(at + i)).join(".");
}
