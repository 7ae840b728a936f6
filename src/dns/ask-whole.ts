/** A query, asked of others for somebody who takes an answer of any length. */
import { retell } from "./answer.ts";
import { MESSAGE_MAX, Rcode, readQuery } from "./query.ts";
import { bareReply, writeReply } from "./reply.ts";
import type { Upstream } from "./upstream.ts";

/** The answer's message; undefined: it is no query. Never rejects. */
export async function askWhole(upstream: Upstream, bytes: Buffer): Promise<Buffer | undefined> {
  const query = readQuery(bytes);
  if (query === undefined) return undefined;
  const failed = (rcode: number): Buffer => writeReply(bytes, query, bareReply(rcode), MESSAGE_MAX, true);
  if (query.problem !== Rcode.NOERROR) return failed(query.problem);
  const first = await upstream.ask(bytes, query, "udp");
  const answer = first?.truncated === true ? await upstream.ask(bytes, query, "tcp") : first;
  return answer === undefined ? failed(Rcode.SERVFAIL) : retell(answer, bytes, query, MESSAGE_MAX, 0);
}
