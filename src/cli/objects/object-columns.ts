// The columns of `podwire get`: those of the API's tables, and of nodes and slices what podwire knows besides.
import { cellOf, type TableColumn } from "../../apiserver/table/column.ts";
import { columnsOfKind } from "../../apiserver/table/table.ts";
import type { WorkloadEndpoint } from "../../calico/workload-endpoint.ts";
import type { EndpointSlice, KubeObject, Node } from "../../kube/objects.ts";
import type { Column } from "../table.ts";

type Columns = Column<KubeObject>[];

export function columnsFor(kind: string, nowMs: number): Columns {
  const shown = columnsOfKind(kind).map((each) => shownColumn(each, nowMs));
  switch (kind) {
    case "Node":
      return [...shown.filter(({ header }) => NODE_COLUMNS.includes(header)), ...nodes()];
    case "EndpointSlice":
      return [
        ...shown,
        column("CONDITIONS", (s: EndpointSlice) => s.endpoints.map(endpointConditions).join(","), true),
      ];
    case "WorkloadEndpoint":
      return workloadEndpoints();
    default:
      return shown;
  }
}

function shownColumn(of: TableColumn, nowMs: number): Column<KubeObject> {
  const value = (object: KubeObject): string => String(cellOf(of, object, nowMs));
  return { header: of.name.toUpperCase(), value, wide: of.priority > 0 };
}

function column<T>(
  header: string,
  value: (object: T) => string | number | undefined,
  wide = false,
): Column<KubeObject> {
  return { header, value: value as (object: KubeObject) => string | number | undefined, wide };
}

function endpointConditions(endpoint: EndpointSlice["endpoints"][number]): string {
  const { ready, serving, terminating } = endpoint.conditions ?? {};
  const words = [ready === false ? "" : "ready", serving ? "serving" : "", terminating ? "terminating" : ""];
  return words.filter(Boolean).join("+") || "unready";
}

const NODE_COLUMNS = ["NAME", "STATUS", "ROLES", "AGE"];

function nodes(): Columns {
  return [
    column("AGENT", (n: Node) => n.metadata.annotations?.["podwire.dev/agent"]),
    column(
      "INTERNAL-IP",
      (n: Node) => n.status.addresses?.find((a) => a.type === "InternalIP")?.address,
      true,
    ),
    column("POD-CIDR", (n: Node) => n.spec.podCIDRs?.join(","), true),
  ];
}

/** calicoctl's. */
function workloadEndpoints(): Columns {
  return [
    column("NAME", (w: WorkloadEndpoint) => w.metadata.name, true),
    column("WORKLOAD", (w: WorkloadEndpoint) => w.spec.pod),
    column("NODE", (w: WorkloadEndpoint) => w.spec.node),
    column("NETWORKS", (w: WorkloadEndpoint) => w.spec.ipNetworks?.join(",")),
    column("INTERFACE", (w: WorkloadEndpoint) => w.spec.interfaceName),
    column("PROFILES", (w: WorkloadEndpoint) => w.spec.profiles.join(","), true),
    column("NATS", () => undefined, true),
  ];
}
