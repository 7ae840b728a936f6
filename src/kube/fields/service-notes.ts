// Combinations of a Service's fields of which one is ignored, in every cluster: said in the API server's words.
import type { KubeObject, Service } from "../objects.ts";

/** Works on the object before defaults. */
export function serviceNotes(object: KubeObject, note: (field: string, text: string) => void): void {
  if (object.kind !== "Service") return;
  const spec: Partial<Service["spec"]> = (object as Service).spec ?? {};
  const type = spec.type ?? "ClusterIP";
  const hasExternal = (spec.externalIPs ?? []).length > 0;
  if (type === "ClusterIP" && (spec.clusterIP ?? spec.clusterIPs?.[0]) === "None") {
    const headless = "is ignored for headless services";
    if ((spec.loadBalancerIP ?? "") !== "") note("spec.loadBalancerIP", headless);
    if (hasExternal) note("spec.externalIPs", headless);
    if (spec.sessionAffinity === "ClientIP") note("spec.sessionAffinity", headless);
  }
  if (type === "ExternalName" && hasExternal)
    note("spec.externalIPs", 'is ignored when spec.type is "ExternalName"');
  if (type !== "ExternalName" && (spec.externalName ?? "") !== "") {
    note("spec.externalName", 'is ignored when spec.type is not "ExternalName"');
  }
}
