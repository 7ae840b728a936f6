/**
 * A change of services as messages of which none holds packets up for long: the plane applies one between two batches
 * and takes as many a turn as fit a fraction of a millisecond. A service port changes wholly or not at all; those that
 * hand addresses to each other change together.
 */
import type { ServicePortSpec, ServiceUpdate } from "../dataplane/spec/services.ts";
import type { PlaneMessage } from "./messages.ts";

/** Of one message, in endpoints: about 0.1 ms to read and apply. */
const WEIGHT_MAX = 64;
const FRONTEND_WEIGHT = 4;
const REMOVAL_WEIGHT = 4;

export function* splitServices(update: ServiceUpdate): Generator<PlaneMessage> {
  const together = new Set(update.together ?? []);
  if (together.size > 0) {
    const piece = new Piece();
    piece.update.remove.push(...update.remove.filter((id) => together.has(id)));
    for (const spec of update.upsert) {
      if (!together.has(spec.id)) continue;
      yield* endpointParts(spec);
      piece.upsert(spec);
    }
    yield piece.message();
  }
  let piece = new Piece();
  for (const id of update.remove) {
    if (together.has(id)) continue;
    if (!piece.hasRoom(REMOVAL_WEIGHT)) {
      yield piece.message();
      piece = new Piece();
    }
    piece.remove(id);
  }
  for (const spec of update.upsert) {
    if (together.has(spec.id)) continue;
    if (!piece.hasRoom(weightOf(spec))) {
      yield piece.message();
      piece = new Piece();
    }
    yield* endpointParts(spec);
    piece.upsert(spec);
  }
  if (!piece.isEmpty) yield piece.message();
}

class Piece {
  readonly update: ServiceUpdate = { upsert: [], remove: [] };
  #weight = 0;

  hasRoom(weight: number): boolean {
    return this.isEmpty || this.#weight + weight <= WEIGHT_MAX;
  }

  upsert(spec: ServicePortSpec): void {
    this.#weight += weightOf(spec);
    this.update.upsert.push(isLarge(spec) ? { ...spec, endpoints: [] } : spec);
  }

  remove(id: number): void {
    this.#weight += REMOVAL_WEIGHT;
    this.update.remove.push(id);
  }

  get isEmpty(): boolean {
    return this.update.upsert.length === 0 && this.update.remove.length === 0;
  }

  message(): PlaneMessage {
    return { type: "services", update: this.update };
  }
}

function weightOf({ endpoints, frontends }: ServicePortSpec): number {
  return endpoints.length + FRONTEND_WEIGHT * (1 + frontends.length);
}

/** Its endpoints go ahead, in parts. */
function isLarge({ endpoints }: ServicePortSpec): boolean {
  return endpoints.length > WEIGHT_MAX;
}

function* endpointParts(spec: ServicePortSpec): Generator<PlaneMessage> {
  if (!isLarge(spec)) return;
  const { id, endpoints } = spec;
  for (let i = 0; i < endpoints.length; i += WEIGHT_MAX) {
    yield { type: "endpoints", part: { id, endpoints: endpoints.slice(i, i + WEIGHT_MAX) } };
  }
}
