// Whose frontend a row of the services' table is.
import type { Services } from "../../dataplane/table/service/services.ts";

/** "namespace/name:port"; "" when it is gone. */
export function frontendName(t: Services, f: number): string {
  return f < 0 ? "" : (t.records.get(t.service[f])?.name ?? "");
}
