// Copies of a request: sent beside it, and nobody waits for what becomes of them.
import type { Forward, Mirror } from "../../l7/decision.ts";
import type { Header } from "../../l7/request.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Way } from "../upstream/dial.ts";
import { outsideCluster } from "./auth.ts";
import type { ClientRequest } from "./ends.ts";
import type { Front } from "./front.ts";
import { type SilentAnswer, SilentCall, TOO_SLOW } from "./silent-call.ts";

export class Mirrors {
  readonly #calls: { readonly call: SilentCall; readonly withBody: boolean }[] = [];

  constructor(front: Front, forward: Forward, request: ClientRequest, headers: readonly Header[]) {
    for (const mirror of forward.mirrors) {
      if (mirror.share < 1 && front.random() >= mirror.share) continue;
      const where = placeOf(front, mirror, forward, request);
      if (where === undefined) continue;
      const { cluster, way, target, host } = where;
      const over = begin(front, cluster);
      if (over === undefined) continue;
      const own = headers.filter(({ name }) => name.toLowerCase() !== "host");
      const head = {
        ...{ method: request.method, target, host, headers: [{ name: "Host", value: host }, ...own] },
        ...{ bodyLength: mirror.withBody ? request.bodyLength : 0, upgrade: "", takesTrailers: false },
      };
      const done = ({ why }: SilentAnswer): void => over(why);
      const call = new SilentCall(cluster, way, head, done, { room: front.copies });
      this.#calls.push({ call, withBody: mirror.withBody });
    }
  }

  write(chunk: Buffer): void {
    for (const { call, withBody } of this.#calls) if (withBody) call.write(chunk);
  }

  end(): void {
    for (const { call } of this.#calls) call.end();
  }

  /** The request does not come to its end. */
  cancel(): void {
    for (const { call, withBody } of this.#calls) if (withBody) call.cancel();
  }
}

/** What to call when it is over, and with what; undefined: this one is left out. */
function begin({ copies }: Front, cluster: Cluster): ((why: string) => void) | undefined {
  if (cluster.refusal !== "") {
    copies.leftOut++;
    return undefined;
  }
  const done = copies.begin(cluster.name);
  if (done === undefined) return undefined;
  cluster.active++;
  return (why) => {
    cluster.active--;
    if (why === TOO_SLOW) copies.leftOut++;
    done();
  };
}

interface Place {
  readonly cluster: Cluster;
  readonly way: Way;
  readonly target: string;
  readonly host: string;
}

/** A Service's port, or an address, in which nginx' variables stand for parts of the request. */
function placeOf(front: Front, mirror: Mirror, forward: Forward, request: ClientRequest): Place | undefined {
  const { backend } = mirror;
  if (backend !== undefined) {
    const way = front.wayTo("http", { backend }, request);
    if (typeof way === "string") return undefined;
    return { cluster: front.clusters.of(backend), way, target: forward.target, host: forward.host };
  }
  const [path, query = ""] = request.target.split("?", 2);
  const values: Readonly<Record<string, string>> = {
    ...{
      request_uri: request.target,
      uri: path,
      args: query,
      host: request.host ?? "",
      scheme: request.scheme,
    },
  };
  const address = mirror.target.replace(/\$\{?(\w+)\}?/g, (all, name: string) => values[name] ?? all);
  const found = outsideCluster(front, address);
  if (found === undefined) return undefined;
  const target = found.target === "" ? request.target : found.target;
  return { cluster: found.cluster, way: found.way, target, host: found.host };
}
