// One size of the scale benchmark in a process of its own: its memory and its collector are its own too.
import { type LoadResult, measureLoad } from "./scale-load.ts";
import { type LookupResult, measureLookup } from "./scale-lookup.ts";

export type ScaleResult = LoadResult & LookupResult;

async function main(): Promise<void> {
  const [services, endpointsEach] = process.argv.slice(2).map(Number);
  const load = await measureLoad(services, endpointsEach);
  const lookup = measureLookup(services, endpointsEach);
  process.stdout.write(`${JSON.stringify({ ...load, ...lookup })}\n`, () => process.exit(0));
}

void main(); // not awaited here: a bundle is no module
