// The tables that an agent shows, for it and for the command that asks.
export const SHOW_TABLES = [
  "fdb",
  "neighbors",
  "routes",
  "services",
  "policies",
  "vteps",
  "ports",
  "counters",
  "drops",
] as const;
