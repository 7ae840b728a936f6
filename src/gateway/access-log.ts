// The access log: a line of JSON for each request, with the rule, the Service and the pod that it came to, and why where
// it did not. Lines are written together, off the requests' way.
import { formatIp } from "../base/ip.ts";
import { headerOf } from "../l7/request.ts";
import type { Finished } from "./exchange/front.ts";
import type { StreamRecord } from "./l4/tcp-front.ts";
import { type LogTarget, LogWriter } from "./log-writer.ts";
import type { RefusedRequest } from "./server/door.ts";

export class AccessLog {
  readonly #writer: LogWriter;
  readonly #podAt: (endpoint: string) => string;

  /** Throws where the file cannot be opened. `tell`: what goes wrong with it later. */
  constructor(target: LogTarget, podAt: (endpoint: string) => string, tell: (line: string) => void) {
    this.#podAt = podAt;
    this.#writer = new LogWriter(target, tell);
  }

  get isOn(): boolean {
    return this.#writer.isOn;
  }

  /** Lines that could not be written. */
  get lost(): number {
    return this.#writer.lost;
  }

  done(exchange: Finished): void {
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
    if (this.isOn) this.#add({ time: new Date().toISOString(), client, port, status, reason: why });
  }

  /** The file was moved away: a new one of its name. */
  reopen(): void {
    this.#writer.reopen();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  #add(line: object): void {
    this.#writer.add(JSON.stringify(line));
  }
}
