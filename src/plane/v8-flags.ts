/** For the data plane's V8, which reads them as its thread starts. Benchmarks of the plane set them as well. */
export const V8_FLAGS = [
  // Room for young objects, MiB: the worker makes some when services change. It never grows, for that costs
  // collections of up to 9 ms, and it is little, for all of it stays resident.
  "--min-semi-space-size=2",
  "--max-semi-space-size=2",
  "--initial-old-space-size=64",
  // A packet's way is one long chain of small functions; the default stops inlining in the middle of it.
  // 64 bytes bridged, and through a ClusterIP, ns: 177 and 305 at 3000, 165 and 293 at 4000, 183 and 320 at 5000.
  "--max-inlined-bytecode-size=1000",
  "--max-inlined-bytecode-size-cumulative=4000",
];
