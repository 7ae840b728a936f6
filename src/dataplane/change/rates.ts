// What ports may be sent and send, changed between two batches. Who has waited under the rate before is lost.
import { Shaper } from "../send/shaper.ts";
import type { TxQueue } from "../send/tx-queue.ts";
import type { PortRates, Rate } from "../spec/rates.ts";
import * as bucket from "../table/byte-bucket.ts";
import { BUCKET_WORDS } from "../table/byte-bucket.ts";
import { end } from "../turn/rates.ts";

/** `isKeeper`: this engine does what is done once for all. */
export function setRates(q: TxQueue, port: number, { toPort, fromPort }: PortRates, isKeeper: boolean): void {
  end(q, port, isKeeper);
  const { table } = q;
  if (fromPort !== null) table.meters[port] = bucketOf(fromPort);
  if (toPort === null) return;
  const shaper = new Shaper(toPort.memory, toPort.limitBytes);
  if (isKeeper) bucket.setRate(shaper.bucket, toPort.bytesPerMs, toPort.burstBytes);
  table.shapers[port] = shaper;
  table.shapedCount++;
}

function bucketOf({ bytesPerMs, burstBytes }: Rate): Float64Array {
  const words = new Float64Array(BUCKET_WORDS);
  bucket.setRate(words, bytesPerMs, burstBytes);
  return words;
}
