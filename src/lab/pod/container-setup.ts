// What a container is given before each start: variables, mounts, its view of the machine, its program; and what it
// leaves when it ends.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Container, Pod } from "../../kube/objects.ts";
import { oneLine } from "../errors.ts";
import type { Prepared, Refusal } from "../process/managed-process.ts";
import type { MemoryGroup } from "../process/memory-group.ts";
import type { NodePlan } from "../topology.ts";
import type { ConfigObjects } from "./config-objects.ts";
import { echoFiles, echoWords } from "./echo-place.ts";
import { ENTER_FILE, type EnterFile, enterWords, firstWords, type View } from "./enter/enter.ts";
import { ConfigProblem, environmentOf } from "./environment.ts";
import { expand } from "./expand.ts";
import type { ImageRule } from "./image/built-in.ts";
import type { ImageProgram } from "./image/image-program.ts";
import { standInPorts } from "./image/stand-in-ports.ts";
import { DNS_IMAGE } from "./pod-env.ts";
import type { PodEvents } from "./pod-events.ts";
import type { ProbeHelper } from "./probe-place.ts";
import { inputOf } from "./stream/container-input.ts";
import { havePlaces, MountProblem, makeAccountPlace, mountsOf } from "./volume/mounts.ts";
import type { VolumePaths } from "./volume/pod-volumes.ts";

/** What a container is told by its pod. */
export interface ContainerHost {
  readonly lab: string;
  readonly node: NodePlan;
  readonly netns: string;
  /** Folder of the pod's files. */
  readonly folder: string;
  readonly objects: ConfigObjects;
  readonly images: readonly ImageRule[];
  readonly helper: ProbeHelper;
  readonly events: PodEvents;
  readonly volumes: VolumePaths;
  /** Folders of files over /etc. */
  readonly etc: readonly string[];
  readonly hostname: string | undefined;
  /** Ports beside its own on which Services expect it to answer: "8080/TCP". */
  servicePorts(container: Container): readonly string[];
  /** Folder of busybox' applets, if there are any. */
  applets(): string | undefined;
  pod(): Pod;
  hasDataPath(): boolean;
  stopping(): boolean;
  changed(): void;
}

/** kubelet's limits of what a container leaves when it ends. */
const MESSAGE_MAX_BYTES = 4096;
const LOG_MAX_BYTES = 2048;
const LOG_MAX_LINES = 80;
const TERMINATION_PATH = "/dev/termination-log";
/** Where a stand-in reads which ports it is to answer on, as written by the lab at any time. */
const PORTS_PATH = "/dev/podwire-ports";

/** podwire's own program, which says when it is ready. */
function isOwnEcho({ use }: ImageProgram): boolean {
  return use === "echo" || use === "stand-in";
}

/** It says itself when it is ready. */
function isAnnouncing(image: ImageProgram, container: Container): boolean {
  return isOwnEcho(image) || container.image === DNS_IMAGE;
}

/** What to start, or why it cannot be started as its configuration says. */
export function prepareContainer(
  host: ContainerHost,
  container: Container,
  image: ImageProgram,
  memory?: MemoryGroup,
): Prepared | Refusal {
  try {
    const { lab, node, objects } = host;
    const announces = isAnnouncing(image, container);
    const own = {
      ...(announces && { PODWIRE_READY_FD: "3" }),
      ...(isOwnEcho(image) && echoEnvironment(host, container, image)),
    };
    const env = environmentOf(container, { lab, pod: host.pod(), node, objects, image: own });
    const applets = image.applets ? host.applets() : undefined;
    if (container.tty === true) env.TERM ??= "xterm";
    if (applets !== undefined) env.PATH = `${applets}:${env.PATH}`;
    const view = viewOf(host, container, image, env);
    const words = enterWords(view);
    keepForEnterers(`${host.folder}/${container.name}`, { words, env, workingDir: view.workingDir });
    const program = isOwnEcho(image) ? echoWords(view.mounts) : image.argv.map((word) => expand(word, env));
    const input = inputOf(`${host.folder}/${container.name}`, container);
    const begun = firstWords(words, input, isOwnEcho(image) ? undefined : memory?.prepare());
    return { argv: [...begun, ...program], env, announces, makesPlace: true };
  } catch (error) {
    if (error instanceof ConfigProblem || error instanceof MountProblem)
      return { reason: "CreateContainerConfigError", message: error.message };
    return { reason: "CreateContainerError", message: oneLine(error) };
  }
}

function echoEnvironment(
  host: ContainerHost,
  { ports = [] }: Container,
  { use }: ImageProgram,
): Record<string, string> {
  const { metadata, status } = host.pod();
  const own = ports.map((p) => `${p.containerPort}/${p.protocol ?? "TCP"}`).join(",");
  return {
    PODWIRE_POD: metadata.name,
    PODWIRE_NAMESPACE: metadata.namespace ?? "default",
    PODWIRE_NODE: host.node.name,
    // Told, not looked up: os.networkInterfaces() leaves out a device without carrier, as a TAP is before its agent.
    PODWIRE_ADDRESSES: (status.podIPs ?? []).map((x) => x.ip).join(","),
    ...(use === "stand-in" ? { PODWIRE_ECHO_PORTS_FILE: PORTS_PATH } : { PODWIRE_ECHO_PORTS: own }),
  };
}

/** All ports on which a stand-in is to answer. */
export function allStandInPorts(host: ContainerHost, container: Container): string[] {
  const { spec } = host.pod();
  const others = [...(spec.initContainers ?? []), ...spec.containers].filter((each) => each !== container);
  return [...new Set([...standInPorts(container, others), ...host.servicePorts(container)])];
}

/** For a stand-in that runs: it opens what is new, and closes nothing. */
export function writePorts(host: ContainerHost, container: Container): string {
  const file = `${host.folder}/${container.name}.ports`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, allStandInPorts(host, container).join(",")); // in place: the container sees this very file
  return file;
}

function viewOf(
  host: ContainerHost,
  container: Container,
  image: ImageProgram,
  env: Record<string, string>,
): View {
  const { netns, hostname, etc, volumes, folder } = host;
  const base = `${folder}/${container.name}`;
  const mounts = mountsOf(container, volumes, env);
  makeAccountPlace(mounts);
  const path = container.terminationMessagePath || TERMINATION_PATH;
  const workingDir = container.workingDir || image.workingDir;
  const isPlaced = havePlaces(mounts) && existsSync(workingDir ?? "/");
  const needsRoot = image.ownRoot || !path.startsWith("/dev/") || !isPlaced;
  const file = `${base}.termination`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
  chmodSync(file, 0o666);
  const root = needsRoot ? `${base}.root` : undefined;
  const ports = image.use === "stand-in" ? [{ source: writePorts(host, container), path: PORTS_PATH }] : [];
  const inDev = [...ports, ...(isOwnEcho(image) ? echoFiles(mounts) : [])];
  return { netns, hostname, root, etc, mounts, termination: { path, file }, workingDir, inDev };
}

function keepForEnterers(base: string, { words, env, workingDir }: EnterFile): void {
  const { PODWIRE_READY_FD: _, ...kept } = env;
  const file = `${base}.${ENTER_FILE}`;
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify({ words, env: kept, workingDir } satisfies EnterFile), { mode: 0o600 });
}

/** What its file says, or with FallbackToLogsOnError the end of what it printed. */
export function lastWords(base: string, container: Container, exitCode: number): string {
  const file = readEnd(`${base}.termination`, MESSAGE_MAX_BYTES);
  if (file !== "" || exitCode === 0) return file;
  if (container.terminationMessagePolicy !== "FallbackToLogsOnError") return "";
  return readEnd(`${base}.log`, LOG_MAX_BYTES).split("\n").slice(-LOG_MAX_LINES).join("\n");
}

function readEnd(path: string, maxBytes: number): string {
  try {
    const bytes = readFileSync(path);
    return bytes.subarray(Math.max(0, bytes.length - maxBytes)).toString("utf8");
  } catch {
    return "";
  }
}
