// Rates of pods as the plane has them: bytes by the millisecond, and how much may wait.
import type { Rate } from "../dataplane/spec/rates.ts";
import type { BitRate } from "../kube/bandwidth.ts";

/** The bucket holds what comes until the plane looks again, or tokens would be lost between two looks. */
const BURST_MS_MIN = 4;
const FRAME_BYTES = 1514;
/** Of a pod that asks for none: a superframe, and what comes in this time. */
const BURST_MS = 20;
const SUPERFRAME_BYTES = 65_536;
/** How long a frame may wait: as the plug-in `bandwidth` has it. */
const LATENCY_MS = 25;

export function compileRate({ bitsPerSec, burstBits }: BitRate): Rate & { limitBytes: number } {
  const bytesPerMs = bitsPerSec / 8000;
  const asked = burstBits === undefined ? Math.max(SUPERFRAME_BYTES, bytesPerMs * BURST_MS) : burstBits / 8;
  const burstBytes = Math.ceil(Math.max(asked, bytesPerMs * BURST_MS_MIN, FRAME_BYTES));
  return { bytesPerMs, burstBytes, limitBytes: Math.ceil(bytesPerMs * LATENCY_MS) + burstBytes };
}
