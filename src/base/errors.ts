// Typed errors. A cold function that cannot go on throws one of these: a stable `code` for programs, a message
// of one line for people, and the data it speaks of instead of more prose.

export interface ErrorDetails {
  /** Stable, upper case, prefixed by the area: "POLICY_BAD_CIDR". Never renamed. */
  readonly code: string;
  readonly cause?: unknown;
  readonly [data: string]: unknown;
}

/** Base of every error podwire throws on purpose. Anything else that is caught is a bug of ours. */
export class PodwireError extends Error {
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(message: string, details: ErrorDetails) {
    const { code, cause, ...data } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.data = data;
  }
}

/** True for an error with this code, whichever class it is of: errors that crossed a socket lost their class. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
