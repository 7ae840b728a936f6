// What a port may be sent and send, as the plane is told it.

export interface Rate {
  readonly bytesPerMs: number;
  readonly burstBytes: number;
}

export interface PortRates {
  /**
   * null: as much as there is. `limitBytes`: of frames that wait. `memory`: of a
   * shaper (send/shaper.ts), zeroed, which all workers have.
   */
  readonly toPort: (Rate & { readonly limitBytes: number; readonly memory: ArrayBufferLike }) | null;
  /** null: as much as it likes. */
  readonly fromPort: Rate | null;
}
