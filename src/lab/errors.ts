import { PodwireError } from "../base/errors.ts";

/** An error of the lab that is meant for its user: one line "what: where: what to do". */
export class LabError extends PodwireError {
  /** Exit status of the command that fails with it (1 failed, 2 wrong usage, 3 the answer is "no"). */
  readonly exitCode: number;

  constructor(code: string, message: string, options: { cause?: unknown; exitCode?: number } = {}) {
    super(message, { code, cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The text of whatever was thrown, on one line. */
export function oneLine(error: unknown): string {
  return messageOf(error)
    .trim()
    .replaceAll(/\s*\n\s*/g, " ");
}
