// What containers are given of a lab's objects, and the tokens that say who they are.
import type { Credentials } from "../apiserver/certificates.ts";
import { Tokens } from "../apiserver/tokens.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { KubeObject, Pod, Service } from "../kube/objects.ts";
import { CAPACITY } from "./node/machine.ts";
import { type ConfigObjects, configObjects, type PodToken, type TokenWanted } from "./pod/config-objects.ts";
import { serviceAccountOf } from "./pod/downward.ts";
import { type LabPaths, readJson } from "./state-dir.ts";

const SECONDS_DEFAULT = 3600;
/** kubelet's: of a token's time, and at most a day. */
const RENEWED_AFTER = 0.8;
const RENEWED_AFTER_MAX_MS = 24 * 3600 * 1000;
const API_SERVICE = "default/kubernetes";

export function labObjects(cluster: Cluster, paths: LabPaths): ConfigObjects {
  let tokens: Tokens | undefined;
  const token = (pod: Pod, { audience, expirationSeconds }: TokenWanted): PodToken | undefined => {
    if (tokens === undefined) {
      const { credentials } = readJson<{ credentials?: Credentials }>(paths.api) ?? {};
      if (credentials === undefined) return undefined; // the API is about to be served
      tokens = new Tokens(credentials.accountKey, credentials.adminToken);
    }
    const { namespace, name, uid } = pod.metadata;
    const account = serviceAccountOf(pod);
    const object =
      cluster.get("ServiceAccount", `${namespace}/${account}`) ?? accountObject(namespace, account);
    const { nodeName } = pod.spec;
    const spec = {
      ...(audience === undefined || audience === "" ? {} : { audiences: [audience] }),
      expirationSeconds: expirationSeconds ?? SECONDS_DEFAULT,
    };
    const issued = tokens.issue(object, spec, {
      pod: { name, ...(uid === undefined ? {} : { uid }) },
      ...(nodeName === undefined ? {} : { node: { name: nodeName } }),
    });
    const lifeMs = (issued.spec.expirationSeconds ?? SECONDS_DEFAULT) * 1000;
    const renewAtMs = Date.now() + Math.min(RENEWED_AFTER_MAX_MS, lifeMs * RENEWED_AFTER);
    return { token: issued.token, renewAtMs };
  };
  const services = (namespace: string): Service[] => {
    const own = cluster.list("Service", namespace) as Service[];
    const api = namespace === "default" ? undefined : cluster.get("Service", API_SERVICE);
    return api === undefined ? own : [...own, api as Service];
  };
  return configObjects((kind, name) => cluster.get(kind, name), { services, token, capacity: CAPACITY });
}

/** Of a pod that was there before its account. */
function accountObject(namespace = "default", name: string): KubeObject {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } };
}
