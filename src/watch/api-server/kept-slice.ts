/**
 * An EndpointSlice as a node keeps it. Of an endpoint only its addresses are its own: they stand in one text, and what it
 * says beside them is one value for all endpoints that say the same. So an endpoint takes a fifth of what its object
 * would; who asks for endpoints gets objects made of it.
 */
import type { Endpoint, EndpointSlice } from "../../kube/objects.ts";

type Beside = Omit<Endpoint, "addresses">;

/** Neither is part of an address or a domain name. */
const BETWEEN_ENDPOINTS = " ";
const BETWEEN_ADDRESSES = ",";

export class KeptSlice {
  readonly metadata: EndpointSlice["metadata"];
  readonly addressType: string;
  readonly ports: EndpointSlice["ports"];
  /** Whatever is compared of two slices are fields: equal ones, equal slices. */
  readonly addresses: string;
  readonly beside: readonly Beside[];

  /** `share` answers a value that says the same, and the same one for all that do. */
  constructor({ metadata, addressType, ports, endpoints }: EndpointSlice, share: (beside: Beside) => Beside) {
    this.metadata = metadata;
    this.addressType = addressType;
    this.ports = ports;
    this.addresses = endpoints
      .map(({ addresses }) => addresses.join(BETWEEN_ADDRESSES))
      .join(BETWEEN_ENDPOINTS);
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
    const addresses = this.addresses.split(BETWEEN_ENDPOINTS);
    return this.beside.map((beside, i) => ({ addresses: addresses[i].split(BETWEEN_ADDRESSES), ...beside }));
  }

  /** As everybody writes it. */
  toJSON(): EndpointSlice {
    const { apiVersion, kind, metadata, addressType, endpoints, ports } = this;
    return { apiVersion, kind, metadata, addressType, endpoints, ports };
  }
}
