// Is all well with an agent? Its answers in, checks out: what was looked at, what was found, what to do.

export interface Check {
  /** "lab NAME" or a node's name. */
  of: string;
  check: string;
  ok: boolean;
  detail: string;
  /** "" where all is well. */
  advice: string;
}

/** What an agent's /status says, as far as it is looked at here. */
export interface AgentStatus {
  node: string;
  pid: number;
  ready: boolean;
  error?: string;
  /** What stands in its way now, a line each that says what to do. */
  problems?: string[];
  ports: { name: string; kind: string; pod: string; state: string; error: string }[];
  objects: Record<string, number>;
  internalErrors: number;
  refusedServicePorts: number;
  /** Threads of its data plane. */
  workers?: number;
  /** "on", or "off: " and why. */
  tunnelBundles?: string;
  tunnelGso?: string;
  datagramJoining?: string;
  devices?: DeviceState[];
  /** "shared" with the kernel, or "exclusive". */
  uplinkMode?: string;
  /** What pods do not reach by it; "": nothing. */
  uplinkNote?: string;
  /** Of objects, where somebody serves them. */
  source?: { server: string; problem: string; silentSeconds: number; aheadSeconds?: number };
}

interface DeviceState {
  kind: "uplink" | "host";
  interface: string;
  isUp: boolean;
  hasCarrier: boolean;
  received: number;
  missed: number;
}

/** Connections there are, and the most there may be. */
export interface Fill {
  count: number;
  max: number;
}

const FULL_SHARE = 0.95; // from there on old connections are dropped for new ones soon

export function agentChecks(status: AgentStatus, connections: Fill): Check[] {
  const { node: of, objects, ports, internalErrors, refusedServicePorts: refused } = status;
  const down = ports.filter(({ state }) => state !== "up");
  const hasObjects = status.ready || down.some(({ error }) => error === status.error);
  const check = (name: string, ok: boolean, detail: string, advice: string): Check => {
    return { of, check: name, ok, detail, advice: ok ? "" : advice };
  };
  const { count, max } = connections;
  const { workers = 1 } = status;
  const threads = workers > 1 ? `, ${workers} workers` : "";
  return [
    ...(status.problems ?? []).map((line) => check("agent", false, line, "")),
    check(
      "objects",
      hasObjects,
      hasObjects ? counted(objects) : (status.error ?? "not ready"),
      `give its source a Node ${of} with status.addresses and spec.podCIDR`,
    ),
    ...(down.length === 0
      ? [check("ports", true, `${ports.length} up`, "")]
      : down.map(({ name, pod, error }) => {
          const whose = pod === "" ? name : `pod ${pod}`;
          const where =
            pod === "" ? "make the device" : "make its namespace and TAP device, or delete the pod";
          return check("ports", false, `${whose}: ${error}`, where);
        })),
    ...(status.source === undefined ? [] : sourceChecks(of, status.source)),
    ...(status.devices ?? []).flatMap((device) => deviceChecks(of, device, uplinkWords(status))),
    ...(status.tunnelBundles === undefined ? [] : [check("tunnel bundles", true, status.tunnelBundles, "")]),
    ...(status.tunnelGso === undefined ? [] : [check("tunnel GSO", true, status.tunnelGso, "")]),
    ...(status.datagramJoining === undefined
      ? []
      : [check("datagram joining", true, status.datagramJoining, "")]),
    check(
      "services",
      refused === 0,
      refused === 0 ? "all fit" : `${refused} service ports do not fit the data plane`,
      "remove some Services",
    ),
    check(
      "connections",
      count < max * FULL_SHARE,
      `${count} of ${max}`,
      "raise conntrack.max in the agent's configuration and start it again",
    ),
    check(
      "data plane",
      internalErrors === 0,
      internalErrors === 0
        ? `no internal errors${threads}`
        : `${internalErrors} packets met an internal error`,
      "report it, with podwire show drops and the agent's log",
    ),
  ];
}

const CLOCK_SECONDS = 5;
/** What is lost at the socket in a burst now and then is nobody's fault. */
const LOST_SHARE = 0.001;
const LOST_LEAST = 100;

function sourceChecks(of: string, source: NonNullable<AgentStatus["source"]>): Check[] {
  const { server, problem, silentSeconds, aheadSeconds } = source;
  const isHeard = silentSeconds >= 0;
  const heard = isHeard ? `heard of ${Math.round(silentSeconds)} s ago` : "not heard of yet";
  const detailOfApi = `${server}: ${heard}`;
  const adviceOfApi = isHeard
    ? ""
    : "ask again in some seconds: an agent that has just begun still waits for it";
  // What is wrong with it the agent's own problems tell already.
  const api =
    problem === ""
      ? [{ of, check: "API server", ok: isHeard, detail: detailOfApi, advice: adviceOfApi }]
      : [];
  if (aheadSeconds === undefined) return api;
  const isRight = Math.abs(aheadSeconds) < CLOCK_SECONDS;
  const apart = `${Math.abs(aheadSeconds).toFixed(0)} s ${aheadSeconds > 0 ? "behind" : "ahead of"}`;
  const detail = isRight ? "as the API server's" : `this node's is ${apart} the API server's`;
  const advice = isRight
    ? ""
    : "let chrony or systemd-timesyncd set the clocks: certificates and tokens depend on them";
  return [...api, { of, check: "clock", ok: isRight, detail, advice }];
}

function uplinkWords({ uplinkMode, uplinkNote = "" }: AgentStatus): string {
  const words = uplinkMode === "shared" ? "is up, shared with the kernel" : "is up";
  return uplinkNote === "" ? words : `${words}; ${uplinkNote}`;
}

function deviceChecks(of: string, device: DeviceState, uplinkIs: string): Check[] {
  const { kind, interface: name, isUp, hasCarrier, received, missed } = device;
  const wrong = !isUp ? "is down" : !hasCarrier ? "has no carrier" : "";
  const mend = !isUp
    ? `ip link set ${name} up`
    : kind === "host"
      ? "start the agent again: the device is not its own"
      : "nothing is at the other end: look at cable and switch";
  const well = kind === "uplink" ? uplinkIs : "is up";
  const link = { of, check: kind === "host" ? "host device" : "uplink", ok: wrong === "" };
  const checks = [{ ...link, detail: `${name} ${wrong || well}`, advice: wrong === "" ? "" : mend }];
  if (kind === "host") return checks;
  const fits = missed < LOST_LEAST || missed < received * LOST_SHARE;
  const detail = `${missed} of ${received + missed} frames had no room`;
  const advice = fits ? "" : "more comes than the data plane forwards: give it a core, or more workers";
  return [...checks, { of, check: "socket", ok: fits, detail, advice }];
}

/** An agent that nobody hears of. */
export function deadCheck(of: string, detail: string, advice: string): Check {
  return { of, check: "answers", ok: false, detail, advice };
}

function counted(objects: Readonly<Record<string, number>>): string {
  const words: Readonly<Record<string, string>> = { endpointSlices: "slices" };
  return Object.entries(objects)
    .map(([what, n]) => `${n} ${n === 1 ? (words[what] ?? what).slice(0, -1) : (words[what] ?? what)}`)
    .join(", ");
}
