// Errors of the container networking specification: numbers that runtimes know, one line of text for people.
import { PodwireError } from "../base/errors.ts";

export const CniCode = Object.freeze({
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  UNDECODABLE: 6,
  INVALID_CONFIG: 7,
  TRY_AGAIN_LATER: 11,
  NOT_AVAILABLE: 50,
  LIMITED: 51,
  /** Of our own, from here on. */
  ADDRESS_TAKEN: 100,
  NO_ADDRESS_LEFT: 101,
  ALREADY_THERE: 102,
  HOST_PORT_TAKEN: 103,
  INTERFACE_FAILED: 104,
  NOT_AS_IT_WAS: 105,
  SEVERAL: 106,
} as const);
export type CniCode = (typeof CniCode)[keyof typeof CniCode];

export class CniError extends PodwireError {
  readonly number: CniCode;

  constructor(number: CniCode, message: string, cause?: unknown) {
    super(message, { code: "CNI", cause });
    this.number = number;
  }
}
