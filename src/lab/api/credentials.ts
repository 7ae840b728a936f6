// The certificates and keys of a lab's API, and its port: kept with the lab's state.
import { X509Certificate } from "node:crypto";
import { type Credentials, makeCredentials } from "../../apiserver/certificates.ts";
import { cidrs, formatIp, nthIp } from "../../base/ip.ts";
import { controlPlaneAddresses } from "../net/control-plane.ts";
import { type LabPaths, readJson, writePrivately } from "../state-dir.ts";
import type { Topology } from "../topology.ts";

/** What of the API outlives a lab process. */
export interface SavedApi {
  /** 0: none yet. */
  readonly port: number;
  readonly credentials: Credentials;
}

const NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];
const ZONE = "cluster.local";

/** What there is; made where there is nothing, or where it is a podwire's that knew fewer addresses. */
export async function savedApi(t: Topology, paths: LabPaths): Promise<SavedApi> {
  const saved = readJson<SavedApi>(paths.api);
  if (saved !== undefined && isFor(t, saved)) return saved;
  const zones = new Set([ZONE, t.dns?.zone ?? ZONE]);
  const whole = [...zones].map((zone) => `kubernetes.default.svc.${zone}`);
  const credentials = await makeCredentials(t.lab, ["localhost", ...NAMES, ...whole], addressesOf(t));
  const made = { port: saved?.port ?? 0, credentials };
  await saveApi(paths, made);
  return made;
}

export async function saveApi(paths: LabPaths, saved: SavedApi): Promise<void> {
  await writePrivately(paths.api, JSON.stringify(saved));
}

function isFor(t: Topology, { credentials }: SavedApi): boolean {
  const certificate = new X509Certificate(credentials.serverCert);
  return addressesOf(t).every((address) => certificate.checkIP(address) !== undefined);
}

/** The loopback, the Service kubernetes in each range, the control plane. */
function addressesOf(t: Topology): string[] {
  const services = cidrs(t.serviceCidr).map((range) => formatIp(nthIp(range, 1)));
  return ["127.0.0.1", "::1", ...services, ...controlPlaneAddresses(t)];
}
