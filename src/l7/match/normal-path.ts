// The path of a request as rules are compared with it: what is written in two ways and means one resource is one text.
// Percent signs are decoded but for %2F, which stays what it is: a slash within a name, and %25, so that what was no
// escape does not become one when a rule rewrites the path; double slashes are one, dot segments are gone
// (RFC 3986 §5.2.4). What is forwarded is the path as it came, unless a rule rewrites it.

const ODD = /%|\/\/|\/\.{1,2}(?:\/|$)/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})|%00/;

/** Undefined: escapes that are none, or dot segments that lead out of the root. */
export function normalPath(path: string): string | undefined {
  if (!ODD.test(path)) return path;
  if (BAD_ESCAPE.test(path)) return undefined;
  return withoutDots(decoded(path));
}

function decoded(path: string): string {
  return path.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    run
      .split(/(%2[Ff5])/)
      .map((part) => (/^%2[Ff5]$/.test(part) ? part : text(part)))
      .join(""),
  );
}

/** Bytes that are no UTF-8 stay as they are written. */
function text(escapes: string): string {
  try {
    return decodeURIComponent(escapes);
  } catch {
    return escapes;
  }
}

function withoutDots(path: string): string | undefined {
  const parts = path.split("/");
  const kept: string[] = [];
  for (const [i, part] of parts.entries()) {
    const isLast = i === parts.length - 1;
    if (part === "..") {
      if (kept.pop() === undefined) return undefined;
      if (isLast) kept.push("");
    } else if (part === "." || (part === "" && i > 0)) {
      if (isLast) kept.push("");
    } else if (i > 0) kept.push(part);
  }
  return `/${kept.join("/")}`;
}

/** A part of such a path as it is written in a request. */
export function encodedPath(path: string): string {
  return path.replace(/[^\x21-\x7e]+|["#<>?\\^`{|}]|%(?![0-9A-Fa-f]{2})/g, (part) => {
    try {
      return encodeURIComponent(part);
    } catch {
      return part; // half a surrogate pair
    }
  });
}

/** Path and query that a rule has written, of octets that a request's first line may have. */
export function plainTarget(text: string): string {
  return text.replace(/[^\x21-\x7e]+/g, (part) => {
    try {
      return encodeURIComponent(part);
    } catch {
      return ""; // half a surrogate pair
    }
  });
}
