// podwire policy diff: which pairs change if these manifests are applied. Exit status 3 when some do.
import type { Command } from "commander";
import { WORKLOADS } from "../../kube/kinds.ts";
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import { type KubeObject, keyOf, type Pod } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import type { End, Port } from "../../offline/policy/ends.ts";
import { podEnds, portText } from "../../offline/policy/ends.ts";
import { cellsOf, grouped, namesOf, portsAt } from "../../offline/policy/matrix.ts";
import { type Change, changedPorts, isChange, PolicyDiff } from "../../offline/policy/policy-diff.ts";
import { type Answer, Reach } from "../../offline/policy/reach.ts";
import { refuseTwice } from "../../watch/input.ts";
import { globals, note, print, yamlText } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { named, readObjects } from "../objects/manifests.ts";
import { rawObjects } from "../offline/explain-world.ts";
import { clusterChange, clusterObjects, refuseAgentAndFiles } from "../offline/offline-cluster.ts";
import { type Column, formatTable } from "../table.ts";
import { needAddresses } from "./policy-world.ts";

export interface DiffOptions {
  file?: string[];
  against?: string[];
}

interface Two {
  readonly before: readonly KubeObject[];
  readonly after: readonly KubeObject[];
}

export async function diff(options: DiffOptions, command: Command): Promise<void> {
  const flags = globals(command);
  const { file, against } = options;
  if (file === undefined) throw usageError("policy diff: which manifests? podwire policy diff -f NEW.yaml");
  refuseAgentAndFiles(command, against);
  refuseTwice([...named("-f", file), ...named("--against", against)]);
  const next = readObjects(file);
  const { before, after } =
    against === undefined
      ? overlaid(await clusterObjects(await openNodes(flags)), next)
      : ofFiles(readObjects(against, "--against"), next);
  const changes = cellsThatChange(before, after);
  if (changes.count === 0) note("no pair changes");
  else {
    if (flags.output === "json")
      await print(
        changes
          .lines()
          .map((line) => JSON.stringify(line))
          .join("\n"),
      );
    else if (flags.output === "yaml") await print(await yamlText(changes.lines()));
    else await print(changes.table());
    process.exitCode = Exit.NO;
  }
}

function ofFiles(old: readonly ManifestText[], next: readonly ManifestText[]): Two {
  const passed = new PassedOver();
  const before = rawObjects(old, passed);
  if (needAddresses(before) || needAddresses(rawObjects(next, new PassedOver())))
    return clusterChange(old, next);
  for (const line of passed.notes()) note(line);
  return overlaid(before, next);
}

/** Objects of a cluster, and manifests over them: what is a cluster's own in a pod stays. */
function overlaid(before: readonly KubeObject[], next: readonly ManifestText[]): Two {
  const passed = new PassedOver();
  const objects = rawObjects(next, passed);
  for (const line of passed.notes()) note(line);
  const workload = objects.find(({ kind }) => WORKLOADS.includes(kind));
  if (workload !== undefined) {
    const what = `${workload.kind} ${keyOf(workload)}`;
    throw new CliError(
      `${what}: its pods are not made beside those that run: give both states, with --against`,
    );
  }
  const nameOf = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`;
  const known = new Map(before.map((object) => [nameOf(object), object]));
  for (const object of objects) known.set(nameOf(object), placed(object, known.get(nameOf(object))));
  return { before, after: [...known.values()] };
}

function placed(object: KubeObject, before: KubeObject | undefined): KubeObject {
  if (object.kind !== "Pod") return object;
  const { spec, status } = object as Pod;
  const isAddressed = (status.podIPs ?? []).length > 0 || spec.hostNetwork === true;
  if (before === undefined) {
    if (!isAddressed) note(`note: Pod ${keyOf(object)}: has no address yet (status.podIPs): left out`);
    return object;
  }
  const old = before as Pod;
  const nodeName = spec.nodeName ?? old.spec.nodeName;
  const placedSpec = nodeName === undefined ? spec : { ...spec, nodeName };
  return { ...object, spec: placedSpec, status: isAddressed ? status : old.status } as Pod;
}

interface Line extends Port {
  readonly from: string;
  readonly to: string;
  /** null: one of the two was, or is, not there. */
  readonly before: boolean | null;
  readonly after: boolean | null;
  readonly policies: readonly string[];
  readonly reason: string;
}

interface Changes {
  readonly count: number;
  lines(): Line[];
  table(): string;
}

function cellsThatChange(before: readonly KubeObject[], after: readonly KubeObject[]): Changes {
  const stateOf = (objects: readonly KubeObject[]) => ({
    reach: new Reach(objects),
    ends: new Map(podEnds(objects).map((end) => [end.name, end])),
  });
  const [old, now] = [stateOf(before), stateOf(after)];
  const more = changedPorts(before, after);
  const all = [...new Map([...old.ends, ...now.ends]).values()].map((end) => withPorts(end, more));
  all.sort((a, b) => (a.name < b.name ? -1 : 1));
  const asked = { from: all, to: all, ports: [] };
  const relation = new PolicyDiff(old, now);
  const groups = grouped(relation, asked, changeText);
  const rows = groups.rows.flatMap((row, r) =>
    groups.columns.flatMap((column, c) => {
      const change = groups.answers[r][c];
      if (change === undefined || !isChange(change)) return [];
      return [{ from: namesOf(row.ends), to: namesOf(column.ends), port: portText(column.port), change }];
    }),
  );
  const lines = (): Line[] =>
    [...cellsOf(relation, asked)].filter(({ answer }) => isChange(answer)).map(lineOf);
  return { count: rows.length, lines, table: () => formatTable(COLUMNS, rows) };
}

/** Ports of policies that change, beside those that the pod declares. */
function withPorts(end: End, more: readonly Port[]): End {
  const ports = new Map([...portsAt(end, []), ...more].map((port) => [portText(port), port]));
  return { ...end, ports: [...ports.values()] };
}

function changeText(change: Change): string {
  const { before, after } = change;
  return isChange(change) ? `${before?.allowed} ${after?.allowed} ${(after ?? before)?.reason}` : "";
}

function lineOf({
  answer,
  from,
  to,
  port,
  protocol,
}: Port & { from: string; to: string; answer: Change }): Line {
  const { before, after } = answer;
  const { policies, reason } = (after ?? before) as Answer;
  const is = { before: before?.allowed ?? null, after: after?.allowed ?? null };
  return { from, to, port, protocol, ...is, policies, reason };
}

const word = (answer: Answer | undefined): string =>
  answer === undefined ? "-" : answer.allowed ? "yes" : "no";

const COLUMNS: Column<{ from: string; to: string; port: string; change: Change }>[] = [
  { header: "FROM", value: ({ from }) => from },
  { header: "TO", value: ({ to }) => to },
  { header: "PORT", value: ({ port }) => port },
  { header: "BEFORE", value: ({ change }) => word(change.before) },
  { header: "AFTER", value: ({ change }) => word(change.after) },
  { header: "REASON", value: ({ change }) => (change.after ?? change.before)?.reason },
];
