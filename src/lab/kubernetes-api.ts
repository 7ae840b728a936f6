// The lab's Kubernetes API: its certificates are kept with the lab's state, so that a lab process that starts again is
// the same server to its clients, at the same port where nobody else has taken it.
import { type Credentials, makeCredentials } from "../apiserver/certificates.ts";
import { kubeconfigText } from "../apiserver/kubeconfig.ts";
import { type ApiServer, serveApi } from "../apiserver/server.ts";
import type { PodPrograms } from "../apiserver/stream/pod-programs.ts";
import { cidrs, formatIp, nthIp } from "../base/ip.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { KubeObject } from "../kube/objects.ts";
import { fillNamespaces } from "./namespace-content.ts";
import { objectNotes } from "./object-notes.ts";
import { type LabPaths, readJson, writeAtomically } from "./state-dir.ts";
import type { Topology } from "./topology.ts";

/** What of it outlives a lab process. */
interface SavedApi {
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
const PRIVATE = 0o600;

export async function startKubernetesApi(
  t: Topology,
  paths: LabPaths,
  cluster: Cluster,
  programs: PodPrograms,
  log: (line: string) => void,
): Promise<ApiServer> {
  const before = readJson<SavedApi>(paths.api);
  const credentials = before?.credentials ?? (await makeCredentials(t.lab, NAMES, addressesOf(t)));
  const notesOf = (object: KubeObject): string[] => objectNotes(object, t);
  const where = { port: before?.port ?? 0, socket: paths.apiSocket };
  const server = await serveApi({ cluster, credentials, programs, ...where, notesOf, log });
  const { port } = server;
  const saved: SavedApi = { port, credentials };
  await writeAtomically(paths.api, JSON.stringify(saved), PRIVATE);
  const text = kubeconfigText(t.lab, `https://127.0.0.1:${port}`, credentials);
  await writeAtomically(paths.kubeconfig, text, PRIVATE);
  fillNamespaces(cluster, credentials.ca);
  return server;
}

/** The loopback, and the first address of each service range: that of the service kubernetes. */
function addressesOf({ serviceCidr }: Topology): string[] {
  return ["127.0.0.1", "::1", ...cidrs(serviceCidr).map((range) => formatIp(nthIp(range, 1)))];
}
