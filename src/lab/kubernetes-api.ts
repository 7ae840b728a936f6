// The lab's Kubernetes API: the same server to its clients whenever a lab process starts again, at the same port where
// nobody else has taken it.
import type { Credentials } from "../apiserver/certificates.ts";
import { kubeconfigText } from "../apiserver/kubeconfig.ts";
import { type ApiServer, serveApi } from "../apiserver/server.ts";
import type { PodPrograms } from "../apiserver/stream/pod-programs.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { STANDARD_CLASS } from "../cluster/controller/storage/volumes.ts";
import type { KubeObject } from "../kube/objects.ts";
import { saveApi, savedApi } from "./api/credentials.ts";
import { publishRootCertificate } from "./api/root-certificate.ts";
import { OWN_CLASSES } from "./gateway/own-classes.ts";
import { objectNotes } from "./object-notes.ts";
import { type LabPaths, writePrivately } from "./state-dir.ts";
import type { Topology } from "./topology.ts";

export interface ServedApi {
  readonly server: ApiServer;
  readonly credentials: Credentials;
}

export async function startKubernetesApi(
  t: Topology,
  paths: LabPaths,
  cluster: Cluster,
  programs: PodPrograms,
  log: (line: string) => void,
): Promise<ServedApi> {
  const before = await savedApi(t, paths);
  const { credentials } = before;
  const notesOf = (object: KubeObject): string[] => objectNotes(object, t);
  const where = { port: before.port, socket: paths.apiSocket };
  const server = await serveApi({ cluster, credentials, programs, ...where, notesOf, log });
  const { port } = server;
  if (port !== before.port) await saveApi(paths, { port, credentials });
  await writePrivately(paths.kubeconfig, kubeconfigText(t.lab, `https://127.0.0.1:${port}`, credentials));
  const classes = [STANDARD_CLASS, ...(t.gateways?.enabled === false ? [] : OWN_CLASSES)];
  for (const each of before.port === 0 ? classes : [])
    if (cluster.get(each.kind, each.metadata.name) === undefined) cluster.update(each);
  publishRootCertificate(cluster, credentials.ca);
  return { server, credentials };
}
