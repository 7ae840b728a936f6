// Columns of services, their endpoints, and what stands before them.
import type * as core from "kubernetes-types/core/v1.js";
import type * as networking from "kubernetes-types/networking/v1.js";
import type { ClusterNetworkPolicy, EndpointSlice, Endpoints, KubeObject } from "../../kube/objects.ts";
import { AGE, column, NAME, type TableColumn, WIDE } from "./column.ts";
import { labelText, selectorText } from "./selector-text.ts";

const LIST_SHOWN = 3;

type ServiceCidr = KubeObject & { spec?: { cidrs?: string[] } };
type IpAddress = KubeObject & {
  spec?: { parentRef?: { group?: string; resource: string; namespace?: string; name: string } };
};

export const NETWORK: Readonly<Record<string, readonly TableColumn[]>> = {
  Service: [
    NAME,
    column<core.Service>("Type", ({ spec }) => spec?.type ?? "ClusterIP"),
    column<core.Service>("Cluster-IP", ({ spec }) => spec?.clusterIPs?.[0] || spec?.clusterIP || "<none>"),
    column("External-IP", externalIp),
    column<core.Service>("Port(s)", ({ spec }) => (spec?.ports ?? []).map(portText).join(",") || "<none>"),
    AGE,
    column<core.Service>("Selector", ({ spec }) => labelText(spec?.selector) || "<none>", WIDE),
  ],
  Endpoints: [NAME, column("Endpoints", endpoints), AGE],
  EndpointSlice: [
    NAME,
    column("AddressType", ({ addressType }: EndpointSlice) => addressType),
    column("Ports", ({ ports }: EndpointSlice) => some((ports ?? []).map((p) => p.port ?? p.name ?? "*"))),
    column("Endpoints", ({ endpoints }: EndpointSlice) =>
      some((endpoints ?? []).flatMap((e) => e.addresses)),
    ),
    AGE,
  ],
  Ingress: [
    NAME,
    column<networking.Ingress>("Class", ({ spec }) => spec?.ingressClassName ?? "<none>"),
    column("Hosts", hosts),
    column<networking.Ingress>("Address", ({ status }) => addresses(status?.loadBalancer?.ingress)),
    column<networking.Ingress>("Ports", ({ spec }) => ((spec?.tls ?? []).length > 0 ? "80, 443" : "80")),
    AGE,
  ],
  IngressClass: [
    column<networking.IngressClass & KubeObject>(
      "Name",
      ({ metadata }) => {
        const isDefault = metadata.annotations?.["ingressclass.kubernetes.io/is-default-class"] === "true";
        return isDefault ? `${metadata.name} (default)` : metadata.name;
      },
      { format: "name" },
    ),
    column<networking.IngressClass>("Controller", ({ spec }) => spec?.controller ?? ""),
    column<networking.IngressClass>("Parameters", ({ spec }) => {
      if (spec?.parameters === undefined) return "<none>";
      const { kind, apiGroup, name } = spec.parameters;
      return `${kind}${apiGroup === undefined ? "" : `.${apiGroup}`}/${name}`;
    }),
    AGE,
  ],
  NetworkPolicy: [
    NAME,
    column<networking.NetworkPolicy>(
      "Pod-Selector",
      ({ spec }) => selectorText(spec?.podSelector) || "<none>",
    ),
    AGE,
  ],
  // As the definition of the resource has them: no more with -o wide.
  ClusterNetworkPolicy: [
    NAME,
    column("Tier", ({ spec }: ClusterNetworkPolicy) => spec.tier),
    column("Priority", ({ spec }: ClusterNetworkPolicy) => spec.priority),
    AGE,
  ],
  ServiceCIDR: [NAME, column<ServiceCidr>("CIDRs", ({ spec }) => (spec?.cidrs ?? []).join(",")), AGE],
  IPAddress: [NAME, column("ParentRef", parentOf)],
};

function portText({ port, nodePort, protocol = "TCP" }: core.ServicePort): string {
  return `${port}${nodePort !== undefined && nodePort > 0 ? `:${nodePort}` : ""}/${protocol}`;
}

function externalIp({ spec, status }: core.Service): string {
  const own = spec?.externalIPs ?? [];
  switch (spec?.type ?? "ClusterIP") {
    case "ExternalName":
      return spec?.externalName ?? "";
    case "LoadBalancer": {
      const balanced = addresses(status?.loadBalancer?.ingress);
      return [...(balanced === "" ? [] : [balanced]), ...own].join(",") || "<pending>";
    }
    default:
      return own.join(",") || "<none>";
  }
}

/** Each once, in order. */
function addresses(ingress: { ip?: string; hostname?: string }[] | undefined): string {
  const all = (ingress ?? []).map(({ ip, hostname }) => ip || hostname || "").filter((text) => text !== "");
  return [...new Set(all)].sort().join(",");
}

/** address:port of all that are ready. */
function endpoints({ subsets = [] }: Endpoints): string {
  if (subsets.length === 0) return "<none>";
  const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) =>
          addresses.map(({ ip }) => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`),
        ),
  );
  return all.length === 0 ? "" : some(all);
}

function some(list: (string | number)[]): string {
  if (list.length === 0) return "<unset>";
  const rest = list.length - LIST_SHOWN;
  return list.slice(0, LIST_SHOWN).join(",") + (rest > 0 ? ` + ${rest} more...` : "");
}

/** As many rules as are looked at until there are three hosts; rules for every host count where more are left out. */
function hosts({ spec }: networking.Ingress): string {
  const rules = spec?.rules ?? [];
  const named = rules
    .map(({ host }, i) => ({ host, i }))
    .filter(({ host }) => host !== undefined && host !== "");
  if (named.length === 0) return "*";
  const shown = named.slice(0, LIST_SHOWN);
  const isMore = shown.length === LIST_SHOWN && shown[LIST_SHOWN - 1].i < rules.length - 1;
  const text = shown.map(({ host }) => host).join(",");
  return isMore ? `${text} + ${rules.length - LIST_SHOWN} more...` : text;
}

function parentOf({ spec }: IpAddress): string {
  if (spec?.parentRef === undefined) return "<none>";
  const { group = "", resource, namespace = "", name } = spec.parentRef;
  const kind = `${resource}${group === "" ? "" : `.${group}`}`.toLowerCase();
  return [kind, ...(namespace === "" ? [] : [namespace]), name].join("/");
}
