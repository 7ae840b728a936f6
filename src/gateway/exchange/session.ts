// Session affinity: a cookie or a header that brings a client back to its endpoint, as long as that is there. It names
// the endpoint by a digest, and says when the session began and was last used: who forges it gets an endpoint that he
// could have got anyway.
import { createHash } from "node:crypto";
import type { Backend } from "../../l7/backends.ts";
import type { Affinity, Choice } from "../../l7/decision.ts";
import { cookieOf, type Header, headerOf } from "../../l7/request.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Endpoint } from "../upstream/endpoint.ts";

const DIGEST_LETTERS = 16;
const RADIX = 36;
const digests = new Map<string, string>();

export class Session {
  readonly #affinity: Affinity;
  readonly #given: string;
  readonly #beganSec: number;
  readonly #nowSec = Math.floor(Date.now() / 1000);
  #found = "";

  constructor(affinity: Affinity, headers: readonly Header[]) {
    const { cookie, header, absoluteSec, idleSec } = affinity;
    this.#affinity = affinity;
    const text =
      (header === undefined ? cookieOf(headers, cookie) : headerOf(headers, header.toLowerCase())) ?? "";
    const [digest = "", began = "", last = ""] = text.split("-");
    const beganSec = Number.parseInt(began, RADIX) || this.#nowSec;
    const lastSec = Number.parseInt(last, RADIX) || this.#nowSec;
    const isOver =
      (absoluteSec !== undefined && this.#nowSec - beganSec > absoluteSec) ||
      (idleSec !== undefined && this.#nowSec - lastSec > idleSec);
    this.#given = isOver ? "" : digest;
    this.#beganSec = isOver ? this.#nowSec : beganSec;
  }

  /** Where the client was before: it is still there. */
  find(
    choices: readonly Choice[],
    clusterOf: (backend: Backend) => Cluster,
  ): { readonly choice: Choice; readonly endpoint: Endpoint } | undefined {
    if (this.#given === "") return undefined;
    for (const choice of choices) {
      if (choice.backend === undefined) continue;
      const text = choice.backend.endpoints.find((each) => digestOf(each) === this.#given);
      if (text === undefined) continue;
      const endpoint = clusterOf(choice.backend).find(text);
      if (endpoint === undefined) continue;
      this.#found = text;
      return { choice, endpoint };
    }
    return undefined;
  }

  /** Undefined: the client knows it already. */
  header(endpoint: string): Header | undefined {
    const { cookie, path, attributes, header, idleSec } = this.#affinity;
    if (endpoint === this.#found && idleSec === undefined) return undefined;
    const times = `${this.#beganSec.toString(RADIX)}-${this.#nowSec.toString(RADIX)}`;
    const value = `${digestOf(endpoint)}-${times}`;
    if (header !== undefined) return { name: header, value };
    const parts = attributes.flatMap((each) => attribute(each, this.#nowSec));
    return { name: "Set-Cookie", value: [`${cookie}=${value}`, `Path=${path}`, ...parts].join("; ") };
  }
}

/** As cookies have it: times that are told as so long from now have their date; others are kept here. */
function attribute(text: string, nowSec: number): string[] {
  const after = /^Expires=(\d{1,10})s from now$/.exec(text)?.[1];
  if (after !== undefined) return [`Expires=${new Date((nowSec + Number(after)) * 1000).toUTCString()}`];
  return text.startsWith("ends ") ? [] : [text];
}

function digestOf(endpoint: string): string {
  let digest = digests.get(endpoint);
  if (digest === undefined) {
    digest = createHash("sha256").update(endpoint).digest("hex").slice(0, DIGEST_LETTERS);
    if (digests.size > 100_000) digests.clear();
    digests.set(endpoint, digest);
  }
  return digest;
}
