// What containers are given of a lab's objects, and the tokens that say who they are.
import type { Credentials } from "../apiserver/certificates.ts";
import { Tokens } from "../apiserver/tokens.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { CAPACITY } from "./node-object.ts";
import { type ConfigObjects, configObjects } from "./pod/config-objects.ts";
import { type LabPaths, readJson } from "./state-dir.ts";

const LIFE_SEC = 365 * 24 * 3600; // as API servers extend those of pods: nobody writes the files anew for it
const KEPT_MS = 24 * 3600 * 1000;

export function labObjects(cluster: Cluster, paths: LabPaths): ConfigObjects {
  let tokens: Tokens | undefined;
  /** Tokens by what they are for: the same for a day, so that files stay as they are. */
  const kept = new Map<string, { token: string; atMs: number }>();
  const token = (namespace: string, account: string, audience: string | undefined): string | undefined => {
    const { credentials } = readJson<{ credentials?: Credentials }>(paths.api) ?? {};
    if (credentials === undefined) return undefined; // the API is about to be served
    tokens ??= new Tokens(credentials.accountKey, credentials.adminToken);
    const what = `${namespace}/${account}/${audience ?? ""}`;
    const before = kept.get(what);
    if (before !== undefined && Date.now() - before.atMs < KEPT_MS) return before.token;
    const object = cluster.get("ServiceAccount", `${namespace}/${account}`) ?? {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { namespace, name: account },
    };
    const audiences = audience === undefined || audience === "" ? {} : { audiences: [audience] };
    const issued = tokens.issue(object, { ...audiences, expirationSeconds: LIFE_SEC }).token;
    kept.set(what, { token: issued, atMs: Date.now() });
    return issued;
  };
  return configObjects((kind, name) => cluster.get(kind, name), token, CAPACITY);
}
