/** Tells the plane what pods may receive and send, where it is another than it was told. */
import { compileRate } from "../compile/port-rates.ts";
import { SHAPER_BYTES } from "../dataplane/send/shaper.ts";
import type { PortRates } from "../dataplane/spec/rates.ts";
import type { Bandwidth } from "../kube/bandwidth.ts";
import type { Plane } from "../plane/plane.ts";

const NONE = JSON.stringify({});

export class RatesOfPorts {
  readonly #plane: Pick<Plane, "apply">;
  /** What the plane was told, by PortId. */
  readonly #told = new Map<number, string>();

  constructor(plane: Pick<Plane, "apply">) {
    this.#plane = plane;
  }

  async tell(port: number, bandwidth: Bandwidth): Promise<void> {
    const text = JSON.stringify(bandwidth);
    if (text === (this.#told.get(port) ?? NONE)) return;
    this.#told.set(port, text);
    await this.#plane.apply({ type: "rates", port, rates: ratesOf(bandwidth) });
  }

  /** The port is gone; the plane forgets with it. */
  forget(port: number): void {
    this.#told.delete(port);
  }
}

function ratesOf({ ingress, egress }: Bandwidth): PortRates {
  const memory = new SharedArrayBuffer(SHAPER_BYTES);
  return {
    toPort: ingress === undefined ? null : { ...compileRate(ingress), memory },
    fromPort: egress === undefined ? null : compileRate(egress),
  };
}
