// The certificates and keys of a lab's Kubernetes API. They are kept with the lab's state, so that a lab process that
// starts again is the same server to its clients.
import { type Credentials, makeCredentials } from "../../apiserver/certificates.ts";
import { cidrs, formatIp, nthIp } from "../../base/ip.ts";
import { type LabPaths, readJson, writePrivately } from "../state-dir.ts";
import type { Topology } from "../topology.ts";

/** What of the API outlives a lab process. */
export interface SavedApi {
  /** 0: it has had none yet. */
  readonly port: number;
  readonly credentials: Credentials;
}

const NAMES = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/** Those that there are, or new ones, which are saved. */
export async function savedApi(t: Topology, paths: LabPaths): Promise<SavedApi> {
  const before = readJson<SavedApi>(paths.api);
  if (before?.credentials !== undefined) return before;
  const made = { port: 0, credentials: await makeCredentials(t.lab, NAMES, addressesOf(t)) };
  await saveApi(paths, made);
  return made;
}

export async function saveApi(paths: LabPaths, saved: SavedApi): Promise<void> {
  await writePrivately(paths.api, JSON.stringify(saved));
}

/** The loopback, and the first address of each service range: that of the service kubernetes. */
function addressesOf({ serviceCidr }: Topology): string[] {
  return ["127.0.0.1", "::1", ...cidrs(serviceCidr).map((range) => formatIp(nthIp(range, 1)))];
}
