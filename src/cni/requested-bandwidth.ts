// The capability `bandwidth`, or the same keys in the plug-in's own object, as the plug-in `bandwidth` reads them: bits a
// second and bits.
import { type Bandwidth, type BitRate, BURST_MAX, isRate, saidBurst } from "../kube/bandwidth.ts";
import { type Fields, integerAt, invalid, isMissing, lowerKeys, objectAt } from "./fields.ts";

const KEYS = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"];

/** undefined: nobody says anything. */
export function readBandwidth(config: Fields, runtime: Fields): Bandwidth | undefined {
  const own = Object.fromEntries(KEYS.map((key) => [key.toLowerCase(), config[key]]));
  const isAsked = !isMissing(runtime.bandwidth);
  const at = isAsked ? "runtimeConfig.bandwidth." : "";
  const fields = isAsked ? lowerKeys(objectAt(runtime.bandwidth, "runtimeConfig.bandwidth")) : own;
  const ingress = readRate(fields, at, "ingress");
  const egress = readRate(fields, at, "egress");
  return ingress === undefined && egress === undefined ? undefined : { ingress, egress };
}

function readRate(fields: Fields, at: string, direction: string): BitRate | undefined {
  const [rateKey, burstKey] = [`${at}${direction}Rate`, `${at}${direction}Burst`];
  const bitsPerSec = integerAt(fields[`${direction}rate`], rateKey, 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const burst = integerAt(fields[`${direction}burst`], burstKey, 0, BURST_MAX) ?? 0;
  if (bitsPerSec === 0) {
    if (saidBurst(burst) !== undefined)
      throw invalid(burstKey, `${burst}: and no ${direction}Rate to go with it`);
    return undefined;
  }
  if (!isRate(bitsPerSec)) {
    throw invalid(rateKey, `${bitsPerSec} is no rate of 1000 to 1000000000000000 bits a second`);
  }
  return { bitsPerSec, burstBits: saidBurst(burst) };
}
