// podwire describe KIND [NAME…] | KIND/NAME… | KIND -l LABELS: an object as kubectl tells of it, by its own fields.
import type { Command } from "commander";
import type { EndpointSlice, KubeObject, Pod, Service } from "../control/objects.ts";
import { notFound } from "../control/outcome.ts";
import { globals, note, print } from "./context.ts";
import { CliError } from "./errors.ts";
import { labelMatcher } from "./get/selector.ts";
import { type RunningLab, runningLab } from "./running-lab.ts";
import { listObjects } from "./workload.ts";

interface Flags {
  namespace: string;
  allNamespaces?: boolean;
  selector?: string;
}

type Line = [depth: number, label: string, text: string];

export function register(program: Command): void {
  program
    .command("describe <kind> [names...]")
    .description("show objects with all their fields, a field a line")
    .usage("KIND [NAME…] | KIND/NAME [-n NAMESPACE | -A] [-l LABELS]")
    .option("-n, --namespace <namespace>", "namespace", "default")
    .option("-A, --all-namespaces", "all namespaces")
    .option("-l, --selector <labels>", "only objects with these labels")
    .addHelpText("after", "\nExamples:\n  podwire describe pod web-1\n  podwire describe svc/web")
    .action(async (kind: string, names: string[], flags: Flags, command: Command) => {
      const fits = labelMatcher(flags.selector);
      const lab = runningLab(globals(command));
      const [word, single] = kind.split("/", 2);
      const wanted = single === undefined ? names : [single, ...names];
      const namespace = flags.allNamespaces === true ? undefined : flags.namespace;
      const list = await listObjects(lab, word, namespace);
      const { items } = list;
      for (const name of wanted) {
        if (!items.some((each) => each.metadata.name === name)) throw new CliError(notFound(list, name));
      }
      const chosen = items
        .filter((each) => wanted.length === 0 || wanted.includes(each.metadata.name))
        .filter(fits);
      if (chosen.length === 0)
        note(`No resources found${namespace === undefined ? "" : ` in ${namespace} namespace.`}`);
      const texts: string[] = [];
      for (const object of chosen) texts.push(describe(object, await endpointsOf(lab, object)));
      if (texts.length > 0) await print(texts.join("\n\n\n"));
    });
}

/** Ready addresses of a Service, from its slices. */
async function endpointsOf(lab: RunningLab, object: KubeObject): Promise<string[]> {
  if (object.kind !== "Service") return [];
  const slices = (await listObjects(lab, "endpointslices", object.metadata.namespace))
    .items as EndpointSlice[];
  return slices
    .filter((slice) => slice.metadata.labels?.["kubernetes.io/service-name"] === object.metadata.name)
    .flatMap((slice) =>
      slice.endpoints
        .filter((endpoint) => endpoint.conditions?.ready !== false)
        .flatMap(({ addresses }) =>
          addresses.flatMap((ip) =>
            slice.ports.map(({ port }) => `${ip.includes(":") ? `[${ip}]` : ip}:${port ?? "*"}`),
          ),
        ),
    );
}

export function describe(object: KubeObject, endpoints: readonly string[] = []): string {
  const { name, namespace, labels, annotations, creationTimestamp, ownerReferences = [] } = object.metadata;
  const lines: Line[] = [
    [0, "Name", name],
    ...(namespace === undefined ? [] : ([[0, "Namespace", namespace]] as Line[])),
    ...pairs("Labels", labels),
    ...pairs("Annotations", annotations),
    [0, "CreationTimestamp", creationTimestamp ?? "<unset>"],
    ...ownerReferences.map((owner): Line => [0, "Controlled By", `${owner.kind}/${owner.name}`]),
  ];
  if (object.kind === "Pod") lines.push([0, "Status", (object as Pod).status.phase ?? "Pending"]);
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = object as KubeObject & Record<string, unknown>;
  for (const [key, value] of Object.entries(rest)) lines.push(...fields(0, key, value));
  if (object.kind === "Service" && (object as Service).spec.type !== "ExternalName")
    lines.push([0, "Endpoints", endpoints.length === 0 ? "<none>" : endpoints.join(",")]);
  lines.push([0, "Events", "<none>"]);
  const width = Math.max(...lines.map(([depth, label]) => depth * 2 + label.length)) + 4;
  return lines
    .map(([depth, label, text]) =>
      `${`${"  ".repeat(depth)}${label}${label === "" ? "" : ":"}`.padEnd(width)}${text}`.trimEnd(),
    )
    .join("\n");
}

function pairs(label: string, map: Record<string, string> | undefined): Line[] {
  const words = Object.entries(map ?? {}).map(
    ([key, value]) => `${key}${label === "Labels" ? "=" : ": "}${value}`,
  );
  if (words.length === 0) return [[0, label, "<none>"]];
  return words.sort().map((word, i): Line => [0, i === 0 ? label : "", word]);
}

/** Lists of objects begin each with its name; simple lists are one line. */
function fields(depth: number, key: string, value: unknown): Line[] {
  const label = key.charAt(0).toUpperCase() + key.slice(1).replace(/([a-z])([A-Z])/g, "$1 $2");
  if (value === undefined || value === null) return [];
  if (key === "selector" || key === "matchLabels" || key === "nodeSelector") {
    const map = value as Record<string, unknown>;
    if (Object.values(map).every((each) => typeof each === "string"))
      return [
        [
          depth,
          label,
          Object.entries(map)
            .map(([k, v]) => `${k}=${v}`)
            .join(",") || "<none>",
        ],
      ];
  }
  if (Array.isArray(value)) {
    if (value.every((each) => typeof each !== "object")) return [[depth, label, value.join(",") || "<none>"]];
    return [
      [depth, label, ""],
      ...value.flatMap((each, i): Line[] => {
        const { name, type, ...more } = each as Record<string, unknown>;
        const title = String(name ?? type ?? i);
        const inner = name === undefined || type === undefined ? more : { type, ...more };
        return [
          [depth + 1, title, ""],
          ...Object.entries(inner).flatMap(([k, v]) => fields(depth + 2, k, v)),
        ];
      }),
    ];
  }
  if (typeof value === "object") {
    const inner = Object.entries(value);
    if (inner.length === 0) return [];
    return [[depth, label, ""], ...inner.flatMap(([k, v]) => fields(depth + 1, k, v))];
  }
  return [[depth, label, String(value)]];
}
