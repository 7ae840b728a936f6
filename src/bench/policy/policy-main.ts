// The policy benchmark in processes of their own, since each has its memory: node --expose-gc policy-main.js load|packets
import { measureLoad } from "./policy-load.ts";
import { measurePackets } from "./policy-packets.ts";

const MEASURES: Readonly<Record<string, () => unknown>> = {
  all: () => measureLoad(undefined),
  one: () => measureLoad("node-1"),
  packets: measurePackets,
};

async function main(): Promise<void> {
  const result = await MEASURES[process.argv[2]]();
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

void main(); // not awaited here: a bundle is no module
