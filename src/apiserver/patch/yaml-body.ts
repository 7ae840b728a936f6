// What is applied: YAML, and nearly always its part that is JSON, which is read as such, a hundred times faster.
import { Lexer, parse } from "yaml";
import { DEPTH_MAX, nestingProblem } from "../schema/nesting.ts";
import { isObject, type JsonObject } from "../schema/schema.ts";
import { badRequest } from "./refused.ts";

/** Before a scalar, whose text is the next token. */
const SCALAR = "\x1f";
const INDENT = /^ *$/;

/** Throws Refused. `isStrict`: a name that is there twice is refused; of JSON that is asked elsewhere. */
export function readYaml(body: string, isStrict: boolean): JsonObject {
  const config = asJson(body) ?? asYaml(body, isStrict);
  if (!isObject(config)) throw badRequest("error decoding patch: what is applied has to be an object");
  const why = nestingProblem(config);
  if (why !== undefined) throw badRequest(`error decoding patch: ${why}`);
  return config;
}

/** Undefined: it is no JSON. */
function asJson(body: string): unknown {
  if (!body.trimStart().startsWith("{")) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function asYaml(body: string, isStrict: boolean): unknown {
  if (isTooDeep(body)) throw badRequest(`error decoding patch: it is nested deeper than ${DEPTH_MAX} levels`);
  try {
    // Not "silent": then a text that is no YAML is taken as far as it goes.
    return parse(body, { uniqueKeys: isStrict, maxAliasCount: 100, logLevel: "error" });
  } catch (error) {
    throw badRequest(`error decoding patch: ${(error as Error).message.split("\n")[0]}`);
  }
}

/** Without a parser, which calls itself for each level. A column of a line has at most a map with a list in it. */
function isTooDeep(body: string): boolean {
  let [flow, column, isHead, isText] = [0, 0, true, false];
  for (const token of new Lexer().lex(body)) {
    if (isText) isText = false;
    else if (token === SCALAR) [isText, isHead] = [true, false];
    else if (token === "[" || token === "{") flow++;
    else if (token === "]" || token === "}") flow--;
    else if (token.endsWith("\n")) [column, isHead] = [0, true];
    else if (isHead && (INDENT.test(token) || ["-", "?", ":"].includes(token))) column += token.length;
    if (flow + 2 * column > DEPTH_MAX) return true;
  }
  return false;
}
