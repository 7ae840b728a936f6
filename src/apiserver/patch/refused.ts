// A patch that is not taken, with what kube-apiserver answers then: the handlers make a Status of it.
import { PodwireError } from "../../base/errors.ts";

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

export class Refused extends PodwireError {
  /** The HTTP status. */
  readonly status: number;
  /** Kubernetes' word for it; none where it has none. */
  readonly reason: string;
  readonly causes: readonly Cause[];

  constructor(status: number, reason: string, message: string, causes: readonly Cause[] = []) {
    super(message, { code: "API_PATCH_REFUSED" });
    this.status = status;
    this.reason = reason;
    this.causes = causes;
  }
}

export const badRequest = (message: string): Refused => new Refused(400, "BadRequest", message);
/** The words stand among the causes; clients print these. */
export const unprocessable = (message: string): Refused =>
  new Refused(422, "Invalid", "the server rejected our request due to an error in our request", [
    { reason: "UnexpectedServerResponse", message },
  ]);
/** What kube-apiserver has no better answer for. */
export const internal = (message: string): Refused => new Refused(500, "", message);
