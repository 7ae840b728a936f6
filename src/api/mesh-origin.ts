/**
 * `GET /mesh/origin`: how a connection began that the node's mesh proxy was given (dataplane/packet/mesh.ts). The proxy
 * asks for each that it accepts, by its ends as the socket has them: one lookup in the live table, no walk.
 */
import { formatIp, type IpWords, isV4Mapped, parseIp } from "../base/ip.ts";
import { Protocol } from "../base/protocols.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import * as tuple from "../dataplane/table/connection/tuple.ts";

const { TCP } = Protocol;
const { SRC0, DST0, PORTS, META } = tuple.TupleWord;
const { V4, V6 } = tuple.Meta;
const { TO_PROXY } = conntrack.Status;
const PORT_MAX = 65_535;

interface Ends {
  readonly src: IpWords;
  readonly sport: number;
  readonly dst: IpWords;
  readonly dport: number;
}

export interface MeshOrigin {
  /** As the client sent it: to a service's address, where it asked one. */
  readonly original: { src: string; sport: number; dst: string; dport: number };
  /** Left out: it asked none. `port` is the service port's name, "" where it has none. */
  readonly service?: { namespace: string; name: string; port: string };
}

/** What the parameters ask for, or what is wrong with them. */
export function meshEnds(parameters: URLSearchParams): Ends | string {
  const [src, dst] = ["src", "dst"].map((name) => parseIp(parameters.get(name) ?? ""));
  const [sport, dport] = ["sport", "dport"].map((name) => portOf(parameters.get(name) ?? ""));
  if (src === null || dst === null || src.family !== dst.family)
    return "src and dst: two addresses of one family";
  if (sport === undefined || dport === undefined) return "sport and dport: two ports";
  return { src, sport, dst, dport };
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= PORT_MAX ? port : undefined;
}

/** Undefined: the plane gives the proxy no such connection, or not any more. */
export function meshOrigin(
  t: conntrack.Conntrack,
  { src, sport, dst, dport }: Ends,
  nameOf: (service: number) => string | undefined,
): MeshOrigin | undefined {
  const key = new Int32Array(tuple.TUPLE_WORDS);
  key.set([dst.w0, dst.w1, dst.w2, dst.w3], SRC0);
  key.set([src.w0, src.w1, src.w2, src.w3], DST0);
  key[PORTS] = (dport << 16) | sport;
  key[META] = (isV4Mapped(src) ? V4 : V6) | TCP;
  const ref = conntrack.find(t, key);
  if (ref < 0 || (ref & 1) === 0 || (t.status[(ref >> 1) << 4] & TO_PROXY) === 0) return undefined;
  const k = new Int32Array(tuple.TUPLE_WORDS);
  conntrack.loadTuple(t, ref ^ 1, k);
  const service = serviceOf(nameOf(t.service[(ref >> 1) << 1]));
  return {
    original: {
      src: formatIp({ w0: k[SRC0], w1: k[SRC0 + 1], w2: k[SRC0 + 2], w3: k[SRC0 + 3] }),
      sport: tuple.sourcePort(k),
      dst: formatIp({ w0: k[DST0], w1: k[DST0 + 1], w2: k[DST0 + 2], w3: k[DST0 + 3] }),
      dport: tuple.destinationPort(k),
    },
    ...(service !== undefined && { service }),
  };
}

/** Of "namespace/name:port"; of a host port there is no service. */
function serviceOf(text = ""): MeshOrigin["service"] {
  const [, namespace, name, port = ""] = /^([^/ ]+)\/([^/:]+)(?::(.*))?$/.exec(text) ?? [];
  return namespace === undefined ? undefined : { namespace, name, port };
}
