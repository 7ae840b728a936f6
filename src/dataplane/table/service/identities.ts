/**
 * Who has which id. Connections and remembered clients outlive the slots of `services`: an agent that starts anew
 * compiles its services in another order. So they name an endpoint by an id, which it gets when it begins to serve and
 * which ends with it; should it come back, it has another. Ids go round 1 … 2^31 - 1: one comes again after two thousand
 * million endpoints, and never while its endpoint serves.
 *
 * An id's place is its low bits: one read says whether its endpoint serves, a second one where `services` has it. Beside
 * them lies by what an endpoint is known again (service port, address, port), and the same of service ports (a digest of
 * their name) and of virtual servers (service port, address, port, protocol), whose ids are what clients are remembered
 * by. change/identities.ts writes all of it; the first opener of zeroed memory makes an empty table of it.
 */
import { ColumnCarver, claimHeader, columnBytes, HEADER_BYTES, Header } from "../../../base/columns.ts";

const LAYOUT = 0x49445301; // "IDS", version 1
const ENDPOINT_WORDS = 7;
const NAME_WORDS = 7;

/** Words of the header. */
const H_NAMES_LOG2 = Header.OWN;
export const H_LAST_ENDPOINT = Header.OWN + 1; // id that was given last, of each kind
export const H_LAST_SERVICE = Header.OWN + 2;
export const H_LAST_VIRTUAL = Header.OWN + 3; //  below 0
export const H_EPOCH = Header.OWN + 4; //         of `services`

export class Identities {
  static readonly LAYOUT = LAYOUT;
  readonly header: Int32Array; //          words of base/columns Header, and the above
  // Endpoints, by place
  readonly endpointId: Int32Array; //      0: nobody has the place
  readonly endpointService: Int32Array; // id of its service port
  readonly endpointAddr: Int32Array; //    4 words
  readonly endpointPort: Int32Array;
  // Service ports and virtual servers, by row
  readonly nameId: Int32Array; //          above 0: service port; below: virtual server; 0: free row
  readonly nameService: Int32Array; //     of a virtual server: id of its service port
  readonly nameWords: Int32Array; //       4: digest of the service port's name, or address
  readonly namePort: Int32Array; //        of a virtual server: port << 16 | family << 8 | protocol
  readonly mask: number;
  /** By place: slot in `services` + 1, 0: none. The plane's own, as the rest: not in the memory. */
  slot: Int32Array;
  /** Rows by id. */
  readonly rows = new Map<number, number>();
  readonly freeRows: number[] = [];
  nextRow = 0;
  /** Ids of an earlier plane that nothing has named yet. */
  readonly unclaimed = new Set<number>();
  /** Virtual servers among them, by what they are known by. */
  readonly virtualIds = new Map<string, number>();

  constructor(
    frontendsLog2: number,
    endpointsLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(Identities.bytesFor(frontendsLog2, endpointsLog2)),
    offset = 0,
  ) {
    const places = 2 << endpointsLog2; // half of them free, so that one is found soon
    const names = 2 << frontendsLog2; //  a frontend may be a virtual server, and the only one of its service port
    const carve = new ColumnCarver(memory, offset);
    this.header = carve.header();
    carve.counters();
    claimHeader(this.header, LAYOUT, endpointsLog2 + 1, 0);
    if (this.header[H_NAMES_LOG2] === 0) this.header[H_NAMES_LOG2] = frontendsLog2 + 1;
    this.endpointId = carve.int32(places);
    this.endpointService = carve.int32(places);
    this.endpointAddr = carve.int32(places * 4);
    this.endpointPort = carve.int32(places);
    this.nameId = carve.int32(names);
    this.nameService = carve.int32(names);
    this.nameWords = carve.int32(names * 4);
    this.namePort = carve.int32(names);
    this.mask = places - 1;
    this.slot = new Int32Array(places);
  }

  static bytesFor(frontendsLog2: number, endpointsLog2: number): number {
    const endpoints = columnBytes((2 << endpointsLog2) * ENDPOINT_WORDS, 4);
    return HEADER_BYTES + endpoints + columnBytes((2 << frontendsLog2) * NAME_WORDS, 4);
  }
}

/** Does the endpoint with this id still serve? */
export function isAlive(t: Identities, id: number): boolean {
  return t.endpointId[id & t.mask] === id;
}

/** Its slot in `services`, or -1: it is gone, or `id` is none. */
export function slotOf(t: Identities, id: number): number {
  const place = id & t.mask;
  return t.endpointId[place] === id ? t.slot[place] - 1 : -1;
}
