// The head of an HTTP/1.1 answer or request as text, in Latin-1. No header's value can begin another line: what objects
// say is looked at here, too.
import { STATUS_CODES } from "node:http";
import type { Header } from "../../l7/request.ts";

const lines = new Map<number, string>();

/** `reason`: as a backend said it; "": the usual one. */
export function statusLine(status: number, reason: string): string {
  if (reason !== "") return `HTTP/1.1 ${status} ${reason}\r\n`;
  let line = lines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Status"}\r\n`;
    lines.set(status, line);
  }
  return line;
}

export function headerLines(headers: readonly Header[]): string {
  let text = "";
  for (const { name, value } of headers) {
    if (value.includes("\n") || value.includes("\r") || isFraming(name)) continue;
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** These are said by whoever frames the message. */
function isFraming(name: string): boolean {
  const { length } = name;
  if (length !== 14 && length !== 17 && length !== 10) return false;
  const small = name.toLowerCase();
  return small === "content-length" || small === "transfer-encoding" || small === "connection";
}

/** A chunk's first line. */
export function chunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}
