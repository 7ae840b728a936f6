// From the plug-in's bytes to what it prints: a result, nothing, or an error object of the specification.
import type { Cni } from "./cni.ts";
import { CniCode, CniError } from "./cni-error.ts";
import type { Fields } from "./fields.ts";
import { readConfig, readRequest, splitRequest } from "./request.ts";
import { checkVersion, NEWEST } from "./versions.ts";

export interface CniAnswer {
  /** false: text is an error. */
  readonly ok: boolean;
  /** Of standard output. */
  readonly text: string;
}

const NO_VERSION = "0.1.0"; // the specification's default

export async function answerCni(cni: Pick<Cni, "run">, bytes: Buffer, gone: AbortSignal): Promise<CniAnswer> {
  let cniVersion = NEWEST;
  try {
    const { env, input } = splitRequest(bytes);
    const config = readConfig(input);
    const told = config.cniVersion ?? NO_VERSION;
    if (typeof told === "string") cniVersion = told;
    const request = readRequest(env, config);
    checkVersion(typeof told === "string" ? told : JSON.stringify(told), request.command);
    return { ok: true, text: textOf(await cni.run(request, cniVersion, gone)) };
  } catch (error) {
    const isOurs = error instanceof CniError;
    const code = isOurs ? error.number : CniCode.IO_FAILURE;
    const msg = error instanceof Error ? error.message : String(error);
    return { ok: false, text: textOf({ cniVersion, code, msg }) };
  }
}

function textOf(answer: Fields | undefined): string {
  return answer === undefined ? "" : `${JSON.stringify(answer)}\n`;
}
