// Where Node.js has its parser of HTTP/1.1: in a module that is no promise of its, though all versions from 20 to 24 have
// it so. One that has it otherwise is told of in a line, before anything is served.
import { PodwireError } from "../base/errors.ts";

const MODULE = "node:_http_common";

export interface Parser {
  initialize(type: number, resource: object, maxHeaderBytes: number, lenientFlags: number): void;
  execute(bytes: Uint8Array): number | (Error & { readonly code: string; readonly reason?: string });
  close(): void;
  [callback: number]: unknown;
}

interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

interface NodeParser {
  readonly HTTPParser: ParserClass;
  /** By llhttp's numbers. */
  readonly methods: readonly string[];
}

const NUMBERS = [
  ...(["REQUEST", "RESPONSE", "kOnMessageBegin", "kOnHeaders", "kOnHeadersComplete"] as const),
  ...(["kOnBody", "kOnMessageComplete"] as const),
];

/** `load`: a module by its name. */
export function nodeParser(load: (name: string) => unknown): NodeParser {
  let found: Partial<NodeParser> | undefined;
  let cause: unknown;
  try {
    found = load(MODULE) as Partial<NodeParser>;
  } catch (error) {
    cause = error;
  }
  if (found !== undefined && isKnown(found)) return found;
  const advice = "run podwire with Node.js 20, 22 or 24";
  const message = `gateway: this Node.js, ${process.version}, has its parser of HTTP elsewhere: ${advice}`;
  throw new PodwireError(message, { code: "GATEWAY_NODE", cause });
}

function isKnown(found: Partial<NodeParser>): found is NodeParser {
  const { HTTPParser, methods } = found;
  if (typeof HTTPParser !== "function" || !Array.isArray(methods)) return false;
  if (NUMBERS.some((name) => typeof HTTPParser[name] !== "number")) return false;
  const { initialize, execute, close } = HTTPParser.prototype as Partial<Parser>;
  return [initialize, execute, close].every((each) => typeof each === "function");
}
