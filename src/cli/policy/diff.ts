// podwire policy diff: which pairs change if these manifests are applied. Exit status 3 when some do.
import type { Command } from "commander";
import { WORKLOADS } from "../../kube/kinds.ts";
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import { type KubeObject, keyOf, type Pod } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { type End, type Port, portText } from "../../offline/policy/ends.ts";
import { type Asked, cellsOf, grouped, namesOf, portsAt } from "../../offline/policy/matrix.ts";
import { type Change, changedPorts, isChange, PolicyDiff } from "../../offline/policy/policy-diff.ts";
import { type Answer, Reach } from "../../offline/policy/reach.ts";
import { refuseTwice } from "../../watch/input.ts";
import { type Globals, globals, note, print, yamlText } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { named, readObjects } from "../objects/manifests.ts";
import { rawObjects } from "../offline/explain-world.ts";
import { clusterChange, clusterObjects, refuseAgentAndFiles } from "../offline/offline-cluster.ts";
import { type Column, formatTable } from "../table.ts";
import { portsOf } from "./matrix.ts";
import { EndFinder, needAddresses } from "./policy-world.ts";

export interface DiffOptions {
  file?: string[];
  against?: string[];
  port?: string[];
  from?: string[];
  to?: string[];
  world?: boolean;
}

interface Two {
  readonly before: readonly KubeObject[];
  readonly after: readonly KubeObject[];
  readonly hasOverlay?: boolean | undefined;
}

export async function diff(options: DiffOptions, command: Command): Promise<void> {
  const flags = globals(command);
  const { file, against } = options;
  if (file === undefined) throw usageError("policy diff: which manifests? podwire policy diff -f NEW.yaml");
  refuseAgentAndFiles(command, against);
  refuseTwice([...named("-f", file), ...named("--against", against)]);
  const next = readObjects(file);
  const ports = portsOf(options.port);
  const two =
    against === undefined ? await live(flags, next) : ofFiles(readObjects(against, "--against"), next);
  const world = new DiffWorld(two);
  const asked = world.asked(options, ports);
  const changes = world.changes(asked);
  // Without a word about whom to look at nothing that changes is passed over.
  const isPodsAlone = options.from === undefined && options.to === undefined && options.world !== true;
  const unseen = isPodsAlone ? world.changesOfOthers(ports) : 0;
  if (changes.count + unseen === 0) note("no pair changes");
  if (unseen > 0) {
    note(
      changes.count === 0
        ? "no pair of pods changes, but ways from or to nodes or addresses outside do: --world shows them"
        : "ways from or to nodes or addresses outside change, too: --world shows them",
    );
    process.exitCode = Exit.NO;
  }
  if (changes.count > 0) {
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

async function live(flags: Globals, next: readonly ManifestText[]): Promise<Two> {
  const nodes = await openNodes(flags);
  const hasOverlay = nodes.vxlanPort !== undefined;
  const isMaking = needAddresses(rawObjects(next, new PassedOver()));
  if (nodes.lab === undefined || !isMaking)
    return { ...overlaid(await clusterObjects(nodes), next), hasOverlay };
  // A lab has what makes pods, too: what it would make of these is told by the same controllers.
  const items = await clusterObjects(nodes, WORKLOADS);
  const text = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  return { ...clusterChange([{ file: nodes.label, text }], next), hasOverlay };
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

/** Both states, and who is in either. */
class DiffWorld {
  readonly #finders: readonly EndFinder[];
  readonly #relation: PolicyDiff;
  /** By name, as far as somebody asked for them. */
  readonly #ends: readonly Map<string, End>[];
  readonly #morePorts: readonly Port[];

  constructor({ before, after, hasOverlay }: Two) {
    const options = { hasOverlay, cutBy: [...before, ...after] };
    this.#finders = [before, after].map((objects) => new EndFinder(objects, options));
    this.#ends = this.#finders.map(
      ({ pods, nodes }) => new Map([...pods, ...nodes].map((end) => [end.name, end])),
    );
    const [old, now] = [before, after].map((objects, i) => ({
      reach: new Reach(objects, hasOverlay),
      ends: this.#ends[i],
    }));
    this.#relation = new PolicyDiff(old, now);
    this.#morePorts = changedPorts(before, after);
  }

  asked({ from, to, world }: DiffOptions, ports: readonly Port[]): Asked {
    const everybody = (finder: EndFinder): readonly End[] =>
      world === true ? [...finder.pods, ...finder.others] : finder.pods;
    return {
      from: from === undefined ? this.#inEither(everybody) : this.#named("--from", from),
      to: this.#withPorts(to === undefined ? this.#inEither(everybody) : this.#named("--to", to), ports),
      ports,
      ofPods: world === true,
    };
  }

  /** Each word is somebody in one of the states, or it is wrong. */
  #named(flag: string, words: readonly string[]): End[] {
    const ends = words.flatMap((word) => {
      const found = this.#finders.map((finder, i) => this.#find(finder, i, flag, word));
      const errors = found.filter((one) => one instanceof CliError);
      if (errors.length === found.length) throw errors[errors.length - 1];
      return found.flatMap((one) => (one instanceof CliError ? [] : one));
    });
    return sorted(ends);
  }

  #find(finder: EndFinder, state: number, flag: string, word: string): readonly End[] | CliError {
    try {
      return this.#noted(finder.find(flag, word), state);
    } catch (error) {
      if (error instanceof CliError) return error;
      throw error;
    }
  }

  #inEither(of: (finder: EndFinder) => readonly End[]): End[] {
    return sorted(this.#finders.flatMap((finder, i) => this.#noted(of(finder), i)));
  }

  #noted(ends: readonly End[], state: number): readonly End[] {
    for (const end of ends) this.#ends[state].set(end.name, end);
    return ends;
  }

  #withPorts(ends: readonly End[], ports: readonly Port[]): End[] {
    return ports.length > 0 ? [...ends] : ends.map((end) => withPorts(end, this.#morePorts));
  }

  changes(asked: Asked): Changes {
    const rows = this.#rows(asked);
    const lines = (): Line[] =>
      [...cellsOf(this.#relation, asked)].filter(({ answer }) => isChange(answer)).map(lineOf);
    return { count: rows.length, lines, table: () => formatTable(COLUMNS, rows) };
  }

  changesOfOthers(ports: readonly Port[]): number {
    const pods = this.#inEither((finder) => finder.pods);
    const others = this.#inEither((finder) => finder.others);
    const both = [
      { from: others, to: this.#withPorts(pods, ports), ports },
      { from: pods, to: this.#withPorts(others, ports), ports },
    ];
    return both.reduce((sum, asked) => sum + this.#rows(asked).length, 0);
  }

  #rows(asked: Asked): Row[] {
    const groups = grouped(this.#relation, asked, changeText);
    return groups.rows.flatMap((row, r) =>
      groups.columns.flatMap((column, c): Row[] => {
        const change = groups.answers[r][c];
        if (change === undefined || !isChange(change)) return [];
        const names = {
          from: namesOf(without(row.ends, column.ends)),
          to: namesOf(without(column.ends, row.ends)),
          port: portText(column.port),
        };
        return [{ ...names, change }];
      }),
    );
  }
}

/** Without the one at the other end: nothing changes between a pod and itself. */
function without(ends: readonly End[], others: readonly End[]): readonly End[] {
  return others.length === 1 ? ends.filter(({ name }) => name !== others[0].name) : ends;
}

/** By name, each once. */
function sorted(ends: readonly End[]): End[] {
  const all = [...new Map(ends.map((end) => [end.name, end])).values()];
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface Row {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly change: Change;
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

const COLUMNS: Column<Row>[] = [
  { header: "FROM", value: ({ from }) => from },
  { header: "TO", value: ({ to }) => to },
  { header: "PORT", value: ({ port }) => port },
  { header: "BEFORE", value: ({ change }) => word(change.before) },
  { header: "AFTER", value: ({ change }) => word(change.after) },
  { header: "REASON", value: ({ change }) => (change.after ?? change.before)?.reason },
];
