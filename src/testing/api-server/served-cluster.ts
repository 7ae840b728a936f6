/** The lab's Kubernetes API over a cluster of two nodes, without HTTP. */
import { generateKeyPairSync } from "node:crypto";
import { type Answer, Api, type WatchAnswer } from "../../apiserver/api.ts";
import type { User } from "../../apiserver/reviews.ts";
import { StatusError } from "../../apiserver/status.ts";
import { ADMIN, Tokens } from "../../apiserver/tokens.ts";
import type { Sink } from "../../apiserver/watches.ts";
import type { NotesOf } from "../../apiserver/writes.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { makeCluster } from "../world/make-cluster.ts";

/** What came back, with its body read. */
export interface Answered {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of every kind
  readonly body: any;
  readonly warnings: readonly string[];
}

export interface CallOptions {
  readonly agent?: string;
  readonly type?: string;
  readonly accept?: string;
  readonly user?: User;
}

export class ServedCluster {
  readonly cluster: Cluster;
  readonly api: Api;
  readonly tokens: Tokens;

  constructor(historyMax?: number, notesOf?: NotesOf) {
    this.cluster = makeCluster({ hasApi: true });
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.tokens = new Tokens(privateKey.export({ type: "pkcs8", format: "pem" }).toString(), "admin");
    this.api = new Api(this.cluster, this.tokens, historyMax, notesOf);
  }

  /** "GET /api/v1/pods?watch=1"; `body` is sent as JSON. */
  ask(
    what: string,
    body?: unknown,
    { type, accept, agent, user = ADMIN }: CallOptions = {},
  ): Answer | WatchAnswer {
    const [method, url] = what.split(" ");
    const bytes = Buffer.from(
      body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body),
    );
    const who = { user, userAgent: agent };
    return this.api.answer({ method, url, accept, contentType: type, body: bytes, ...who });
  }

  call(what: string, body?: unknown, options?: CallOptions): Answered {
    try {
      const answer = this.ask(what, body, options);
      if ("watch" in answer) throw new TypeError("a watch has no end");
      const isJson = answer.type.startsWith("application/json");
      return { ...answer, body: isJson ? JSON.parse(String(answer.body)) : answer.body };
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      return { code: error.status.code ?? 0, body: error.status, warnings: [] };
    }
  }

  /** Texts of its lines go to `heard`. */
  watch(url: string, heard: (bytes: Buffer) => void, options?: CallOptions): Watching {
    const answer = this.ask(`GET ${url}`, undefined, options);
    if (!("watch" in answer)) throw new TypeError(`${url} is no watch`);
    const watching: Watching = { isOver: false, stop: () => {} };
    const over = (): void => {
      watching.isOver = true;
    };
    const sink: Sink = {
      backlog: 0,
      write: (lines) => {
        for (const line of lines) heard(line);
      },
      end: over,
      cut: over,
    };
    watching.stop = answer.watch(sink);
    return watching;
  }
}

export interface Watching {
  isOver: boolean;
  stop: () => void;
}
