// podwire get KIND [NAME…] [-n NS|-A] [-o wide|json|yaml]
import type { Command } from "commander";
import type { KubeObject } from "../control/objects.ts";
import { type Globals, globals, note, print, printData } from "./context.ts";
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
    .usage("KIND[,KIND…] [NAME…] [-n NAMESPACE | -A] [-l LABELS] [-o wide|json|yaml]")
    .option("-n, --namespace <namespace>", "namespace", "default")
    .option("-A, --all-namespaces", "all namespaces")
    .option("-l, --selector <labels>", "only objects with these labels: app=web,tier!=cache")
    .action(async (kinds: string, names: string[], flags: Flags, command: Command) => {
      const options = globals(command);
      const lab = runningLab(options);
      const [words, single] = kinds.split("/", 2);
      const wanted = single === undefined ? names : [single, ...names];
      const namespace = flags.allNamespaces === true ? undefined : flags.namespace;
      const fits = matcher(flags.selector);
      const found: Found[] = [];
      for (const word of words.split(",")) {
        const list = await listObjects(lab, word, namespace);
        found.push({ ...list, items: select(list.items, wanted, list.plural).filter(fits) });
      }
      if (options.output === "json" || options.output === "yaml") {
        const items = found.flatMap((list) => list.items);
        const list = { apiVersion: "v1", kind: "List", metadata: { resourceVersion: "" }, items };
        return printData(options.output, wanted.length === 1 && items.length === 1 ? items[0] : list, [], []);
      }
      await printTables(found, namespace, options);
    });
}

interface Found {
  kind: string;
  plural: string;
  namespaced: boolean;
  items: KubeObject[];
}

/** One table a kind, as kubectl prints `get pods,services`: names carry their kind then. */
async function printTables(found: Found[], namespace: string | undefined, options: Globals): Promise<void> {
  const some = found.filter((list) => list.items.length > 0);
  if (some.length === 0) {
    const where = found[0].namespaced && namespace !== undefined ? ` in ${namespace} namespace` : "";
    note(`No resources found${where}.`);
  }
  for (const [i, { kind, namespaced, items }] of some.entries()) {
    const columns = columnsFor(kind, Date.now());
    if (found.length > 1)
      columns[0] = { header: "NAME", value: (o) => `${kind.toLowerCase()}/${o.metadata.name}` };
    if (namespaced && namespace === undefined) columns.unshift(NAMESPACE);
    if (i > 0) await print("\n");
    await printData(options.output, items, columns, items);
  }
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
