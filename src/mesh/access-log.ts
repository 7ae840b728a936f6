// The access log: a line of JSON for each connection that was carried or refused, in the words of the gateway's, with
// both identities. Connections of nobody's, of which there may be any number, are told so many a second. Lines are
// written together, off the connections' way.
import { formatIp } from "../base/ip.ts";
import { type LogTarget, LogWriter } from "../gateway/log-writer.ts";
import { headerOf } from "../l7/request.ts";
import type { ConnectionRecord, Refusal } from "./carry/record.ts";
import { placeText } from "./hbone/connect-head.ts";
import type { RequestRecord } from "./http/inbound-http.ts";
import type { MeshPod } from "./world.ts";

const NOBODYS_MAX = 20; // lines a second

export class MeshLog {
  readonly #writer: LogWriter;
  #second = 0;
  #nobodys = 0;

  /** Throws where the file cannot be opened. `tell`: what goes wrong with it later. */
  constructor(target: LogTarget, tell: (line: string) => void) {
    this.#writer = new LogWriter(target, tell);
  }

  /** Lines that could not be written. */
  get lost(): number {
    return this.#writer.lost;
  }

  connection(record: ConnectionRecord): void {
    if (!this.#writer.isOn) return;
    const { side, client, to, source, sourceId, destination, service, peer, trace, refusal, audited } =
      record;
    this.#add({
      time: new Date().toISOString(),
      ...{ side, protocol: "TCP", client: formatIp(client.ip), port: to.port, endpoint: placeText(to) },
      ...{ sourcePod: podText(source), source: sourceId || undefined },
      ...{ pod: podText(destination), destination: destination?.id, service: service || undefined },
      ...{ peer: peer || undefined, bytesIn: record.sent, bytesOut: record.received },
      seconds: Number((record.durationMs / 1000).toFixed(6)),
      refused: refusal?.code,
      reason: refusal?.why ?? (record.brokenBy || undefined),
      ...(audited.length > 0 && { audited }),
      trace: trace || undefined,
    });
  }

  request({ parties, exchange, audited }: RequestRecord, service: string): void {
    if (!this.#writer.isOn) return;
    const { side, client, to, source, sourceId, destination, peer, trace } = parties;
    const { request, status, problem, decision } = exchange;
    const reason = problem === "" && decision?.action.kind === "answer" ? decision.reason : problem;
    this.#add({
      time: new Date().toISOString(),
      ...{
        side,
        protocol: request.version,
        client: formatIp(client.ip),
        port: to.port,
        endpoint: placeText(to),
      },
      ...{ sourcePod: podText(source), source: sourceId || undefined },
      ...{ pod: podText(destination), destination: destination?.id, service: service || undefined },
      ...{
        peer: peer || undefined,
        method: request.method,
        host: request.host,
        path: request.target,
        status,
      },
      ...{ bytesIn: exchange.bytesIn, bytesOut: exchange.bytesOut },
      seconds: Number(((performance.now() - exchange.startMs) / 1000).toFixed(6)),
      reason: reason || undefined,
      ...(audited.length > 0 && { audited }),
      agent: headerOf(request.headers, "user-agent"),
      trace: (headerOf(request.headers, "traceparent") ?? trace) || undefined,
    });
  }

  /** Of another proxy, or of who tried to be one. */
  peer(address: string, { code, why }: Refusal): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      if (this.#nobodys > NOBODYS_MAX)
        this.#add({
          time: new Date().toISOString(),
          side: "peer",
          reason: `${this.#nobodys - NOBODYS_MAX} more like it`,
        });
      this.#second = second;
      this.#nobodys = 0;
    }
    if (!this.#writer.isOn || ++this.#nobodys > NOBODYS_MAX) return;
    this.#add({
      time: new Date().toISOString(),
      side: "peer",
      peer: address || undefined,
      refused: code,
      reason: why,
    });
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

function podText(pod: MeshPod | undefined): string | undefined {
  return pod && `${pod.namespace}/${pod.name}`;
}
