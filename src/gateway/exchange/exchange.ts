// One request and what becomes of it: the decision is asked for, and carried out, all of it or none.
import type { Duplex } from "node:stream";
import type { Choice, Decision, Forward } from "../../l7/decision.ts";
import type { Header } from "../../l7/request.ts";
import type { Port } from "../server/door.ts";
import { afterSec, type Timed } from "../sweep.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Way } from "../upstream/dial.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import { changedHeaders } from "./answer-changes.ts";
import { drawn, withVerdict } from "./draw.ts";
import type { Call, CallFailure, CallSink, ClientRequest, ClientSink } from "./ends.ts";
import type { Finished, Front, Verdict } from "./front.ts";
import { Mirrors } from "./mirrors.ts";
import { Replay } from "./replay.ts";
import { mayRetry, mayRetryStatus } from "./retry.ts";
import { Session } from "./session.ts";
import { joinTunnel, mustSwitch } from "./tunnel.ts";

const NO_HEADERS: readonly Header[] = [];
const NOTHING: readonly never[] = [];
const STATUS = { tooLarge: 413, clientGone: 499, failed: 502, unserved: 503, timeout: 504 };
const SERVER_STALL_SEC = 60;

export class Exchange implements ClientSink, CallSink, Timed, Finished {
  readonly #front: Front;
  readonly request: ClientRequest;
  readonly port: Port;
  readonly startMs = performance.now();
  decision: Decision | undefined;
  status = 0;
  bytesIn = 0;
  bytesOut = 0;
  tries = 0;
  /** What kept it from going well; "": nothing. */
  problem = "";
  endpoint: Endpoint | undefined;
  cluster: Cluster | undefined;
  deadlineMs = 0;
  sweepAt = -1;
  #forward: Forward | undefined;
  #choice: Choice | undefined;
  #way: Way | undefined;
  #call: Call | undefined;
  #headers: readonly Header[] = NO_HEADERS;
  #session: Session | undefined;
  #mirrors: Mirrors | undefined;
  #tried: Endpoint[] = [];
  #replay: Replay | undefined;
  #trailers: readonly Header[] | undefined;
  #hasBegun = false;
  #hasAnswer = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  #tryTimer: NodeJS.Timeout | undefined;
  #release: (() => void) | undefined;

  constructor(front: Front, request: ClientRequest, port: Port) {
    this.#front = front;
    this.request = request;
    this.port = port;
  }

  start(): void {
    const { request } = this;
    const decision = this.#front.decide(request, this.port);
    this.decision = decision;
    const { action } = decision;
    if (action.kind === "answer") {
      const { location } = action;
      const headers =
        location === undefined ? action.headers : [...action.headers, { name: "Location", value: location }];
      this.#answer(action.status, headers);
      return;
    }
    this.#forward = action;
    const { limits, auth } = action;
    this.#headers = action.headers;
    if (limits !== undefined) {
      const taken = this.#front.rates.take(decision.rule ?? "", request.clientText, limits);
      if (typeof taken === "string") {
        this.#refuse(limits.status, taken);
        return;
      }
      this.#release = taken;
    }
    const { requestSec } = action.timeouts;
    if (requestSec !== undefined)
      this.#timer = afterSec(requestSec, () => this.#timeOut("the whole request"));
    const question = auth && { auth, headers: action.headers };
    if (question === undefined) this.#choose(action);
    else this.#front.authorize(this.request, question, (verdict) => this.#authorized(action, verdict));
  }

  #authorized(action: Forward, verdict: Verdict): void {
    if (this.request.isGone) this.gone("the client left while somebody else was asked about it");
    if (this.#isOver) return;
    if ("status" in verdict) {
      this.problem = verdict.why;
      this.#answer(verdict.status, verdict.headers);
      return;
    }
    this.#headers = withVerdict(this.#headers, verdict.headers, action.auth);
    this.#choose(action);
  }

  #choose(action: Forward): void {
    const { choices, affinity } = action;
    if (affinity !== undefined) {
      this.#session = new Session(affinity, this.request.headers);
      const found = this.#session.find(choices, (backend) => this.#front.clusters.of(backend));
      if (found !== undefined) {
        this.#choice = found.choice;
        this.endpoint = found.endpoint;
      }
    }
    const choice = this.#choice ?? (choices.length === 1 ? choices[0] : drawn(choices, this.#front.random()));
    this.#choice = choice;
    if (choice.backend === undefined) {
      this.#refuse(choice.status ?? STATUS.failed, choice.why ?? "");
      return;
    }
    const way = this.#front.wayTo(action.protocol, choice, this.request);
    if (typeof way === "string") {
      this.#refuse(STATUS.unserved, way);
      return;
    }
    this.#way = way;
    if (choice.headers !== undefined) this.#headers = choice.headers;
    this.cluster = this.#front.clusters.of(choice.backend);
    if (action.mirrors.length > 0)
      this.#mirrors = new Mirrors(this.#front, action, this.request, this.#headers);
    this.#front.sweep.add(this);
    if (this.request.bodyLength === 0) this.#begin();
    this.#send();
  }

  #begin(): void {
    this.#hasBegun = true;
    this.request.begin(this);
  }

  #send(): void {
    const { cluster, request } = this;
    const forward = this.#forward;
    const way = this.#way;
    if (cluster === undefined || forward === undefined || way === undefined || this.#isOver) return;
    const { refusal } = cluster;
    if (refusal !== "") {
      this.#refuse(STATUS.unserved, refusal);
      return;
    }
    const endpoint = (this.tries === 0 ? this.endpoint : undefined) ?? cluster.next(this.#tried);
    if (endpoint === undefined) {
      this.#refuse(STATUS.unserved, `${cluster.name} has no endpoint that is ready`);
      return;
    }
    this.endpoint = endpoint;
    this.#tried.push(endpoint);
    this.tries++;
    endpoint.active++;
    cluster.active++;
    const { connectSec, trySec } = forward.timeouts;
    this.deadlineMs = performance.now() + (connectSec ?? SERVER_STALL_SEC) * 1000;
    if (trySec !== undefined) this.#tryTimer = afterSec(trySec, () => this.#timeOut("one try"));
    const { method, bodyLength, takesTrailers } = request;
    const { target, host } = forward;
    const upgrade = way.isHttp2 ? "" : request.upgrade;
    const head = { method, target, host, headers: this.#headers, bodyLength, upgrade, takesTrailers };
    const call = endpoint.ask(way, head, this);
    this.#call = call;
    if (call.isConnected) this.connected();
  }

  connected(): void {
    this.#wait();
    if (!this.#hasBegun) {
      this.#begin();
      return;
    }
    const call = this.#call;
    if (call === undefined) return;
    for (const chunk of this.#replay?.pieces ?? NOTHING) call.write(chunk);
    if (this.#trailers !== undefined) call.end(this.#trailers);
    else this.request.resume();
  }

  /** For the backend's next word, or that it takes ours. */
  #wait(): void {
    const { timeouts } = this.#forward as Forward;
    const sec = this.#trailers === undefined ? timeouts.sendSec : timeouts.readSec;
    this.deadlineMs = sec === undefined ? 0 : performance.now() + sec * 1000;
  }

  body(chunk: Buffer): void {
    this.bytesIn += chunk.length;
    const max = this.#front.bodyMax(this.#forward?.bodyMax ?? 0);
    if (max > 0 && this.bytesIn > max) {
      this.#refuse(STATUS.tooLarge, `a body longer than ${max} bytes`);
      return;
    }
    const isOpen = this.#call?.isConnected === true;
    this.#replay ??= new Replay();
    this.#replay.add(chunk, isOpen);
    this.#mirrors?.write(chunk);
    if (!isOpen)
      this.request.pause(); // until another endpoint is reached, which gets it then
    else {
      this.#wait();
      if (this.#call?.write(chunk) === false) this.request.pause();
    }
  }

  bodyEnd(trailers: readonly Header[]): void {
    this.#trailers = trailers;
    this.#mirrors?.end();
    if (this.#call?.isConnected !== true) return;
    this.#wait();
    this.#call.end(trailers);
  }

  /** The client is gone. */
  gone(why: string): void {
    if (this.#isOver) return;
    this.#cancel();
    this.problem = why;
    if (!this.#hasAnswer) this.status = STATUS.clientGone;
    this.#finish();
  }

  drained(): void {
    this.#call?.resume();
    if (this.#call !== undefined) this.#wait();
  }

  callDrained(): void {
    this.request.resume();
  }

  informed(status: number, headers: readonly Header[]): void {
    this.request.inform(status, headers);
  }

  answered(status: number, reason: string, headers: readonly Header[], bodyLength: number): void {
    const { cluster, endpoint, request } = this;
    const forward = this.#forward;
    if (cluster === undefined || endpoint === undefined || forward === undefined) return;
    cluster.succeeded(endpoint);
    clearTimeout(this.#tryTimer);
    if (status >= 400 && mayRetryStatus(status, forward.retries, this.#progress())) {
      this.#cancel();
      this.#again();
      return;
    }
    if (status < 300 && mustSwitch(request)) {
      this.#refuse(STATUS.failed, `${endpoint.text} did not change to ${request.upgrade}: ${status}`);
      return;
    }
    this.#hasAnswer = true;
    this.status = status;
    const changes = this.#choice?.answerHeaders ?? forward.answerHeaders;
    let told = changes.length === 0 ? headers : changedHeaders(headers, changes);
    const crumb = this.#session?.header(endpoint.text);
    if (crumb !== undefined) told = [...told, crumb];
    this.#wait();
    request.respond(status, reason, told, bodyLength);
  }

  answerBody(chunk: Buffer): void {
    this.bytesOut += chunk.length;
    if (this.request.write(chunk)) return;
    this.#call?.pause();
    this.deadlineMs = 0; // it is the client that is waited for
  }

  answerEnd(trailers: readonly Header[]): void {
    if (this.#isOver) return;
    this.#call = undefined;
    this.#leave();
    this.request.end(trailers);
    this.#finish();
  }

  switched(reason: string, headers: readonly Header[], socket: Duplex, first: Buffer): void {
    this.status = 101;
    this.#hasAnswer = true;
    this.deadlineMs = 0;
    this.#front.sweep.delete(this);
    this.#call = undefined;
    for (const timer of [this.#timer, this.#tryTimer]) clearTimeout(timer); // they are for requests
    const changes = this.#choice?.answerHeaders ?? this.#forward?.answerHeaders ?? [];
    const client = this.request.tunnel(reason, changedHeaders(headers, changes));
    joinTunnel(client, { socket, first }, this.#front, (up, down) => {
      this.bytesIn += up;
      this.bytesOut += down;
      this.#leave();
      this.#finish();
    });
  }

  failed(failure: CallFailure): void {
    const { cluster, endpoint } = this;
    if (this.#isOver || cluster === undefined || endpoint === undefined) return;
    this.#call = undefined;
    this.#leave();
    if (!failure.isStale) cluster.failed(endpoint);
    if (this.#hasAnswer) {
      this.problem = failure.text;
      this.request.abort();
      this.#finish();
    } else if (mayRetry(failure, (this.#forward as Forward).retries, this.#progress())) {
      if (failure.isStale) {
        this.tries--; // nobody has been asked
        this.#tried.pop();
      }
      this.#again();
    } else this.#refuse(failure.what === "timeout" ? STATUS.timeout : STATUS.failed, failure.text);
  }

  expired(): void {
    const forward = this.#forward;
    if (forward === undefined) return;
    const { connectSec, sendSec, readSec } = forward.timeouts;
    const call = this.#call;
    if (call?.isConnected !== true) this.#timeOut(`connecting: ${connectSec ?? SERVER_STALL_SEC} s`, false);
    else if (this.#trailers === undefined) this.#timeOut(`what takes the body: ${sendSec} s`);
    else this.#timeOut(`an answer: ${readSec} s`);
  }

  #timeOut(what: string, isSent = true): void {
    if (this.#isOver) return;
    this.#call?.cancel();
    const text = `${this.endpoint?.text ?? "nobody"}: the time for ${what} is over`;
    if (this.#call === undefined) this.#refuse(STATUS.timeout, text);
    else this.failed({ what: "timeout", text, isSent, isStale: false });
  }

  #progress() {
    const { request } = this;
    return {
      method: request.method,
      tries: this.tries,
      endpoints: this.cluster?.size ?? 0,
      elapsedSec: (performance.now() - this.startMs) / 1000,
      /** All that was sent can be sent again. */
      isRepeatable: this.#replay === undefined || this.#replay.pieces !== undefined,
    };
  }

  #again(): void {
    const { backoffSec = 0 } = (this.#forward as Forward).retries;
    this.deadlineMs = 0;
    if (backoffSec > 0) this.#tryTimer = afterSec(backoffSec, () => this.#send());
    else this.#send();
  }

  #cancel(): void {
    this.#call?.cancel();
    if (this.#call !== undefined) this.#leave();
    this.#call = undefined;
  }

  /** The endpoint has nothing more to do with it. */
  #leave(): void {
    clearTimeout(this.#tryTimer);
    if (this.endpoint !== undefined) this.endpoint.active--;
    if (this.cluster !== undefined) this.cluster.active--;
  }

  #refuse(status: number, why: string): void {
    if (this.#isOver) return;
    this.#cancel();
    this.problem = why;
    if (this.#hasAnswer) {
      this.request.abort();
      this.#finish();
    } else this.#answer(status, NO_HEADERS);
  }

  /** An answer of our own. */
  #answer(status: number, headers: readonly Header[]): void {
    this.#hasAnswer = true;
    this.status = status;
    this.bytesOut += this.#front.answer(this.request, status, headers);
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.deadlineMs = 0;
    this.#front.sweep.delete(this);
    clearTimeout(this.#timer);
    clearTimeout(this.#tryTimer);
    this.#release?.();
    if (this.#trailers === undefined) this.#mirrors?.cancel(); // they are not whole, either
    this.#front.finished(this);
  }
}
