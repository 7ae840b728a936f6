// Open vSwitch's programs: the machine's own, or Debian's packages unpacked into a folder that goes with the benchmark.
// Nothing is installed, so no service of the system's is started, and no database of the system's is touched.
import { access, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BenchError, onExit, run } from "../shell.ts";

const SWITCH = "usr/lib/openvswitch-switch/ovs-vswitchd";
const PACKAGE = "openvswitch-switch";

export interface OvsPrograms {
  vswitchd: string;
  dbServer: string;
  dbTool: string;
  vsctl: string;
  ofctl: string;
  schema: string;
  /** Where their libraries are, for LD_LIBRARY_PATH; empty: where the system's are. */
  libraries: string;
}

let found: Promise<OvsPrograms> | undefined;

/** Once a run, for however many switches. */
export function findOvs(): Promise<OvsPrograms> {
  found ??= exists(join("/", SWITCH)).then((isThere) => (isThere ? programsIn("/", "") : unpack()));
  return found;
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

function programsIn(root: string, libraries: string): OvsPrograms {
  return {
    vswitchd: join(root, SWITCH),
    dbServer: join(root, "usr/sbin/ovsdb-server"),
    dbTool: join(root, "usr/bin/ovsdb-tool"),
    vsctl: join(root, "usr/bin/ovs-vsctl"),
    ofctl: join(root, "usr/bin/ovs-ofctl"),
    schema: join(root, "usr/share/openvswitch/vswitch.ovsschema"),
    libraries,
  };
}

async function unpack(): Promise<OvsPrograms> {
  const folder = await mkdtemp(join(tmpdir(), "podwire-bench-ovs-"));
  onExit(() => rm(folder, { recursive: true, force: true }));
  const inFolder = (script: string, ...args: string[]) =>
    run(["sh", "-ec", `cd "$0"; ${script}`, folder, ...args]);
  try {
    const plan = await run(["apt-get", "install", "-s", "--no-install-recommends", PACKAGE]);
    const packages = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]);
    if (packages.length === 0) throw new BenchError("apt-get would install nothing, and yet it is not there");
    // Only as root: the unprivileged user that apt downloads as cannot write here.
    await inFolder('apt-get -o APT::Sandbox::User=root download "$@"', ...packages);
    await inFolder('for file in *.deb; do dpkg-deb -x "$file" root; done');
  } catch (cause) {
    const why = (cause as Error).message;
    throw new BenchError(`--peers ovs: Debian's ${PACKAGE} was not to be had: ${why}: run apt-get update`, {
      cause,
    });
  }
  const root = join(folder, "root");
  const libraries = join(root, "usr/lib");
  const triplet = (await readdir(libraries)).find((name) => name.endsWith("-linux-gnu"));
  return programsIn(root, triplet === undefined ? libraries : join(libraries, triplet));
}
