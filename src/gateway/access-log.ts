// The access log: a line of JSON for each request, with the rule, the Service and the pod that it came to, and why where
// it did not. Lines are written together, off the requests' way.
import { closeSync, openSync, writeSync } from "node:fs";
import { PodwireError } from "../base/errors.ts";
import { formatIp } from "../base/ip.ts";
import { headerOf } from "../l7/request.ts";
import type { Finished } from "./exchange/front.ts";
import type { StreamRecord } from "./l4/tcp-front.ts";
import type { RefusedRequest } from "./server/door.ts";

export type LogTarget = "stdout" | { readonly file: string } | "off";

const EVERY_MS = 100;
const HELD_MAX = 1 << 18; // letters that wait to be written
const STDOUT = 1;

export class AccessLog {
  readonly #target: LogTarget;
  readonly #podAt: (endpoint: string) => string;
  #fd = -1;
  #held = "";
  #timer: NodeJS.Timeout | undefined;
  lost = 0;

  /** Throws where the file cannot be opened. */
  constructor(target: LogTarget, podAt: (endpoint: string) => string) {
    this.#target = target;
    this.#podAt = podAt;
    this.#open();
  }

  get isOn(): boolean {
    return this.#fd >= 0;
  }

  done(exchange: Finished): void {
    if (this.#fd < 0) return;
    const { request, port, decision, cluster, endpoint, problem } = exchange;
    const { headers } = request;
    this.#add({
      time: new Date().toISOString(),
      client: request.clientText,
      ...{ port: port.number, protocol: request.version, method: request.method, scheme: request.scheme },
      ...{ host: request.host, path: request.target, status: exchange.status },
      ...{ bytesIn: exchange.bytesIn, bytesOut: exchange.bytesOut },
      seconds: Number(((performance.now() - exchange.startMs) / 1000).toFixed(6)),
      rule: decision?.rule,
      ...(cluster !== undefined && { backend: cluster.name }),
      ...(endpoint !== undefined && {
        endpoint: endpoint.text,
        pod: this.#podAt(endpoint.text) || undefined,
      }),
      ...(exchange.tries > 1 && { tries: exchange.tries }),
      reason: problem === "" ? (decision?.action.kind === "answer" ? decision.reason : undefined) : problem,
      agent: headerOf(headers, "user-agent"),
      trace: headerOf(headers, "traceparent"),
    });
  }

  stream(record: StreamRecord, port: number): void {
    const { client, sni, listener, rule, backend, endpoint, sent, received, reason } = record;
    this.#add({
      time: new Date().toISOString(),
      client: formatIp(client.address),
      ...{
        port,
        protocol: sni === undefined ? "TCP" : "TLS",
        sni,
        listener,
        bytesIn: sent,
        bytesOut: received,
      },
      seconds: Number((record.durationMs / 1000).toFixed(6)),
      ...{
        rule,
        backend,
        endpoint,
        pod: endpoint === undefined ? undefined : this.#podAt(endpoint) || undefined,
      },
      reason: reason === "" ? undefined : reason,
    });
  }

  refused({ status, why, client, port }: RefusedRequest): void {
    if (this.#fd >= 0) this.#add({ time: new Date().toISOString(), client, port, status, reason: why });
  }

  /** The file was moved away: a new one of its name. */
  reopen(): void {
    if (this.#fd < 0 || this.#target === "stdout") return;
    this.flush();
    closeSync(this.#fd);
    this.#open();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = Buffer.from(this.#held);
    this.#held = "";
    if (this.#fd < 0 || bytes.length === 0) return;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch {
      this.lost++; // a full disk, a reader that is gone or slow: requests go on
    }
  }

  close(): void {
    this.flush();
    if (this.#fd > STDOUT) closeSync(this.#fd);
    this.#fd = -1;
  }

  #open(): void {
    if (this.#target === "off") return;
    if (this.#target === "stdout") {
      this.#fd = STDOUT;
      return;
    }
    const { file } = this.#target;
    try {
      this.#fd = openSync(file, "a", 0o640);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new PodwireError(`accessLog.file: ${file}: cannot be written (${code}): name another file`, {
        ...{ code: "GATEWAY_LOG", cause },
      });
    }
  }

  #add(line: object): void {
    this.#held += `${JSON.stringify(line)}\n`;
    if (this.#held.length > HELD_MAX) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), EVERY_MS);
  }
}
