// Requests that are about what runs in a pod: /api/v1/namespaces/NAMESPACE/pods/NAME/exec, attach, portforward, log.
import type { Cluster } from "../../cluster/cluster.ts";
import type { Pod } from "../../kube/objects.ts";
import { resourcePath, splitPath, urlOf } from "../request.ts";
import { noSuchPath, notFound } from "../status.ts";
import type { StreamSubresource } from "./upgrade.ts";

export interface PodRequest {
  readonly subresource: StreamSubresource | "log";
  readonly pod: Pod;
  readonly query: URLSearchParams;
}

const PODS = { group: "", plural: "pods", kind: "Pod" };
const SUBRESOURCES: readonly string[] = ["exec", "attach", "portforward", "log"];

/** Undefined: the URL (path and query) is about something else. Throws a StatusError where there is no such pod. */
export function podRequest(url: string, cluster: Cluster): PodRequest | undefined {
  if (!/\/pods\/[^/]+\/(?:exec|attach|portforward|log)(?:[/?]|$)/.test(url)) return undefined;
  const { pathname, searchParams } = urlOf(url);
  const path = resourcePath(splitPath(pathname));
  const { group, version, plural, namespace, name = "", subresource = "" } = path ?? {};
  if (group !== "" || version !== "v1" || plural !== "pods" || !SUBRESOURCES.includes(subresource))
    return undefined;
  if (namespace === undefined) throw noSuchPath();
  const pod = cluster.get("Pod", `${namespace}/${name}`);
  if (pod === undefined) throw notFound(PODS, name);
  const asked = subresource as PodRequest["subresource"];
  return { subresource: asked, pod: pod as Pod, query: searchParams };
}
