// --from, --to, --port and --protocol as an expression in tcpdump's language.

/**
 * Somewhere a packet comes from or goes to; a network in CIDR notation, or an address with or without a port.
 */
export interface Place {
  address: string;
  port?: number;
}

export interface FlowWish {
  from: readonly Place[];
  to: readonly Place[];
  /** Destination port, for places that have none of their own. */
  port?: number;
  protocol?: string;
  /** Also the packets that go back. */
  both?: boolean;
  /** The user's own expression. */
  filter: string;
}

/** Empty when nothing was wished for. */
export function flowExpression(wish: FlowWish): string {
  const forward = direction(wish.from, wish.to, wish.port, "src", "dst");
  const back = wish.both ? direction(wish.from, wish.to, wish.port, "dst", "src") : "";
  const flow = back === "" ? forward : `(${forward}) or (${back})`;
  const parts = [wish.protocol ?? "", flow, wish.filter].filter((part) => part !== "");
  if (parts.length === 1) return parts[0];
  return parts.map((part) => `(${part})`).join(" and ");
}

type Side = "src" | "dst";

function direction(
  from: readonly Place[],
  to: readonly Place[],
  port: number | undefined,
  near: Side,
  far: Side,
): string {
  const parts: string[] = [];
  if (from.length > 0) parts.push(anyOf(from.map((place) => placeText(place, near, undefined))));
  if (to.length > 0) parts.push(anyOf(to.map((place) => placeText(place, far, port))));
  else if (port !== undefined) parts.push(`${far} port ${port}`);
  return parts.join(" and ");
}

function placeText(place: Place, side: Side, port: number | undefined): string {
  const kind = place.address.includes("/") ? "net" : "host";
  const wanted = place.port ?? port;
  const at = wanted === undefined ? "" : ` and ${side} port ${wanted}`;
  return `${side} ${kind} ${place.address}${at}`;
}

function anyOf(texts: readonly string[]): string {
  return texts.length === 1 ? texts[0] : `(${texts.map((text) => `(${text})`).join(" or ")})`;
}
