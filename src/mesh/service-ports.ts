// Addresses and ports of pods → the Services' ports that lead there, from the slices: by name, and what they say of the
// protocol. A slice that changes costs as much as it is long.
import { type EndpointSlice, type KubeObject, keyOf } from "../kube/objects.ts";
import { SERVICE_NAME_LABEL } from "../kube/slice-labels.ts";

export interface ServicePort {
  /** "namespace/name" */
  readonly service: string;
  /** "": they have none, or it says nothing. */
  readonly portName: string;
  readonly appProtocol: string;
}

const NONE: readonly ServicePort[] = [];

export class ServicePorts {
  readonly #byAddress = new Map<string, ServicePort[]>();
  /** What each slice has put there. */
  readonly #slices = new Map<string, readonly (readonly [key: string, port: ServicePort])[]>();

  /** `address`: "10.244.1.2:80", IPv6 in brackets. */
  at(address: string): readonly ServicePort[] {
    return this.#byAddress.get(address) ?? NONE;
  }

  /** The one Service that leads there; "": there are several, or none. */
  only(address: string): string {
    const [first, ...others] = this.at(address);
    return first !== undefined && others.every(({ service }) => service === first.service)
      ? first.service
      : "";
  }

  take(object: KubeObject, isGone: boolean): void {
    if (object.kind !== "EndpointSlice") return;
    const slice = keyOf(object);
    for (const [key, port] of this.#slices.get(slice) ?? []) this.#remove(key, port);
    this.#slices.delete(slice);
    const name = object.metadata.labels?.[SERVICE_NAME_LABEL];
    if (isGone || name === undefined) return;
    const entries = entriesOf(object as EndpointSlice, `${object.metadata.namespace}/${name}`);
    for (const [key, port] of entries) {
      const list = this.#byAddress.get(key);
      if (list === undefined) this.#byAddress.set(key, [port]);
      else list.push(port);
    }
    this.#slices.set(slice, entries);
  }

  #remove(key: string, port: ServicePort): void {
    const list = this.#byAddress.get(key);
    const at = list?.indexOf(port) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    if (list.length === 0) this.#byAddress.delete(key);
  }
}

function entriesOf(
  { endpoints, ports, addressType }: EndpointSlice,
  service: string,
): [string, ServicePort][] {
  const isV6 = addressType === "IPv6";
  return (ports ?? []).flatMap(({ name = "", port, protocol = "TCP", appProtocol = "" }) => {
    if (port === undefined || protocol !== "TCP") return [];
    const one: ServicePort = { service, portName: name, appProtocol };
    return (endpoints ?? []).flatMap(({ addresses }) =>
      addresses.map((each): [string, ServicePort] => [isV6 ? `[${each}]:${port}` : `${each}:${port}`, one]),
    );
  });
}
