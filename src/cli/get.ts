// podwire get KIND [NAME…] [-n NS|-A] [-o wide|json|yaml]
import type { Command } from "commander";
import type { KubeObject } from "../control/objects.ts";
import { globals, note, printData } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { columnsFor } from "./object-columns.ts";
import { runningLab } from "./running-lab.ts";
import type { Column } from "./table.ts";
import { listObjects } from "./workload.ts";

interface Flags {
  namespace: string;
  allNamespaces?: boolean;
  selector?: string;
}

export function register(program: Command): void {
  program
    .command("get <kind> [names...]")
    .description("show objects: pods, services (svc), endpointslices, nodes, deployments, namespaces, …")
    .usage("KIND [NAME…] [-n NAMESPACE | -A] [-l LABELS] [-o wide|json|yaml]")
    .option("-n, --namespace <namespace>", "namespace", "default")
    .option("-A, --all-namespaces", "all namespaces")
    .option("-l, --selector <labels>", "only objects with these labels: app=web,tier!=cache")
    .action(async (kind: string, names: string[], flags: Flags, command: Command) => {
      const lab = runningLab(globals(command));
      const [word, single] = kind.split("/", 2);
      const wanted = single === undefined ? names : [single, ...names];
      const namespace = flags.allNamespaces === true ? undefined : flags.namespace;
      const found = await listObjects(lab, word, namespace);
      const items = select(found.items, wanted, found.plural).filter(matcher(flags.selector));
      const { output } = globals(command);
      if (output === "json" || output === "yaml") {
        const one = wanted.length === 1;
        const data = one
          ? items[0]
          : { apiVersion: "v1", kind: "List", metadata: { resourceVersion: "" }, items };
        return printData(output, data, [], []);
      }
      if (items.length === 0) {
        const where = found.namespaced && namespace !== undefined ? ` in ${namespace} namespace` : "";
        note(`No resources found${where}.`);
        return;
      }
      const columns = columnsFor(found.kind, Date.now());
      if (found.namespaced && namespace === undefined) columns.unshift(NAMESPACE);
      await printData(output, items, columns, items);
    });
}

const NAMESPACE: Column<KubeObject> = { header: "NAMESPACE", value: (o) => o.metadata.namespace };

function select(items: KubeObject[], names: string[], plural: string): KubeObject[] {
  if (names.length === 0) return items;
  return names.map((name) => {
    const object = items.find((each) => each.metadata.name === name);
    if (object === undefined) throw new CliError(`${plural} "${name}" not found`);
    return object;
  });
}

/** Equality-based selectors: a=b, a==b, a!=b, a, !a. */
function matcher(selector: string | undefined): (object: KubeObject) => boolean {
  const tests = (selector ?? "").split(",").filter(Boolean).map(requirement);
  return (object) => tests.every((test) => test(object.metadata.labels ?? {}));
}

function requirement(text: string): (labels: Record<string, string>) => boolean {
  const m = /^\s*(!?)([^!=\s]+)\s*(?:(==?|!=)\s*(\S*)\s*)?$/.exec(text);
  if (m === null || (m[1] === "!" && m[3] !== undefined)) {
    throw usageError(`-l ${text}: not a label requirement such as app=web`);
  }
  const [, not, key, operator, value] = m;
  if (operator === undefined) return (labels) => Object.hasOwn(labels, key) === (not === "");
  if (operator === "!=") return (labels) => labels[key] !== value;
  return (labels) => labels[key] === value;
}
