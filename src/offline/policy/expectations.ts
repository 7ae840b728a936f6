// What somebody expects of a matrix, a JSON object a line, and what of it does not hold.
import { type End, type Port, portText } from "./ends.ts";
import type { Reach } from "./reach.ts";

export interface Expectation extends Port {
  /** Of the file, from 1. */
  readonly line: number;
  readonly from: string;
  readonly to: string;
  readonly allowed: boolean;
}

const PROTOCOLS = ["TCP", "UDP", "SCTP", "ICMP"];
const LAST_PORT = 65_535;

/** Every line, with all that is wrong: `problems` are "LINE: what". */
export function readExpectations(text: string): { expectations: Expectation[]; problems: string[] } {
  const expectations: Expectation[] = [];
  const problems: string[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const read = readLine(i + 1, line);
    if (typeof read === "string") problems.push(`${i + 1}: ${read}`);
    else expectations.push(read);
  }
  return { expectations, problems };
}

function readLine(line: number, text: string): Expectation | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "not a JSON object";
  const {
    from,
    to,
    port: rawPort,
    protocol: rawProtocol = "TCP",
    allowed,
  } = value as Record<string, unknown>;
  const wrong = (field: string, of: unknown, use: string): string =>
    `${field}: ${of === undefined ? "missing" : JSON.stringify(of)}: ${use}`;
  if (typeof from !== "string" || from === "") return wrong("from", from, WHO);
  if (typeof to !== "string" || to === "") return wrong("to", to, WHO);
  if (typeof allowed !== "boolean") return wrong("allowed", allowed, "use true or false");
  const protocol = PROTOCOLS.find((each) => each === String(rawProtocol).toUpperCase());
  if (protocol === undefined) return wrong("protocol", rawProtocol, `use ${PROTOCOLS.join(", ")}`);
  const port = protocol === "ICMP" ? 0 : rawPort;
  if (typeof port !== "number" || !isPort(port))
    return wrong("port", rawPort, `use a number from 1 to ${LAST_PORT}`);
  return { line, from, to, port, protocol, allowed };
}

const WHO = "use NAMESPACE/POD, a namespace, labels, an address or a CIDR";

/** "80/TCP", "80" (TCP), "ICMP"; undefined: none of these. */
export function readPort(text: string): Port | undefined {
  if (text.toUpperCase() === "ICMP") return { port: 0, protocol: "ICMP" };
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(text);
  if (match === null) return undefined;
  const port = Number(match[1]);
  return isPort(port) && port > 0 ? { port, protocol: (match[2] ?? "TCP").toUpperCase() } : undefined;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= LAST_PORT;
}

export interface Failure {
  readonly line: number;
  readonly text: string;
}

/** One for each expectation that does not hold, with the first pair that is otherwise. */
export function failuresOf(
  reach: Reach,
  expectations: readonly Expectation[],
  find: (expectation: Expectation, field: "from" | "to") => readonly End[],
): Failure[] {
  return expectations.flatMap((expected) => {
    const sources = find(expected, "from");
    const targets = find(expected, "to");
    const otherwise: string[] = [];
    let asked = 0;
    for (const from of sources) {
      for (const to of targets) {
        if (from.name === to.name && sources.length + targets.length > 2) continue;
        asked++;
        const { allowed, reason } = reach.cell(from, to, expected);
        if (allowed !== expected.allowed) otherwise.push(`${from.name} -> ${to.name}: ${reason}`);
      }
    }
    if (otherwise.length === 0 && asked > 0) return [];
    return [{ line: expected.line, text: failureText(expected, otherwise) }];
  });
}

function failureText(expected: Expectation, otherwise: readonly string[]): string {
  const { from, to, allowed } = expected;
  const what = `${from} -> ${to} ${portText(expected)}`;
  if (otherwise.length === 0) return `${what}: there are no two such pods`;
  const is = `${what} is ${allowed ? "denied, not allowed" : "allowed, not denied"}`;
  const [first] = otherwise;
  const isThePair = first.startsWith(`${from} -> ${to}: `);
  const why = isThePair ? first.slice(`${from} -> ${to}: `.length) : first;
  const more = otherwise.length > 1 ? ` (and ${otherwise.length - 1} more pairs)` : "";
  return `${is}: ${why}${more}`;
}
