// pods/NAME/log: what a container has printed, as text.
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Pod } from "../../kube/objects.ts";
import { StatusError } from "../status.ts";
import { chooseContainer } from "./container-choice.ts";
import type { LogOptions, PodPrograms } from "./pod-programs.ts";

/** Throws a StatusError before anything was answered. Resolves when all was sent, or the client has gone. */
export async function serveLog(
  pod: Pod,
  query: URLSearchParams,
  response: ServerResponse,
  programs: PodPrograms,
): Promise<void> {
  const options = optionsOf(query);
  const container = chooseContainer(pod, query.get("container"));
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const chunks = programs.log(pod, container, options, gone.signal)[Symbol.asyncIterator]();
  const first = await chunks.next(); // what is wrong is told by the first step
  response.writeHead(200, { "content-type": "text/plain" });
  response.flushHeaders(); // whoever follows a silent program knows that he does
  const all = async function* (): AsyncGenerator<Uint8Array> {
    for (let each = first; each.done !== true; each = await chunks.next()) yield each.value;
  };
  await pipeline(Readable.from(all(), { objectMode: false }), response).catch(() => gone.abort());
}

/** Throws a StatusError with all that is wrong. */
function optionsOf(query: URLSearchParams): LogOptions {
  const problems: string[] = [];
  const number = (name: string, least: number): number | undefined => {
    const text = query.get(name);
    if (text === null || text === "") return undefined;
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value)) problems.push(`${name}: Invalid value: "${text}": must be a number`);
    else if (value < least)
      problems.push(
        `${name}: Invalid value: ${value}: must be greater than ${least === 0 ? "or equal to 0" : "0"}`,
      );
    return value;
  };
  const flag = (name: string): boolean => ["1", "t", "true"].includes((query.get(name) ?? "").toLowerCase());
  const tailLines = number("tailLines", 0) ?? -1;
  const limitBytes = number("limitBytes", 1) ?? Number.POSITIVE_INFINITY;
  const sinceSeconds = number("sinceSeconds", 1);
  const sinceTime = query.get("sinceTime");
  let sinceMs = sinceSeconds === undefined ? 0 : Date.now() - 1000 * sinceSeconds;
  if (sinceTime !== null && sinceTime !== "") {
    sinceMs = Date.parse(sinceTime);
    if (Number.isNaN(sinceMs)) problems.push(`sinceTime: Invalid value: "${sinceTime}": must be a time`);
    if (sinceSeconds !== undefined)
      problems.push("at most one of `sinceTime` or `sinceSeconds` may be specified");
  }
  if (problems.length > 0) {
    const why = problems.length === 1 ? problems[0] : `[${problems.join(", ")}]`;
    throw new StatusError(422, "Invalid", `PodLogOptions "" is invalid: ${why}`);
  }
  return {
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    tailLines,
    sinceMs,
    limitBytes,
  };
}
