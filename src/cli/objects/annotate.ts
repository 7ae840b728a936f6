// podwire annotate KIND NAME… KEY=VALUE… KEY-…
import type { Command } from "commander";
import { registerMetadata } from "./set-metadata.ts";

export function register(program: Command): void {
  registerMetadata(program, "annotate", "annotations");
}
