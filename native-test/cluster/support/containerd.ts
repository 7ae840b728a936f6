// A real containerd beside a test, in a node's network namespace: that is its plug-ins' host. Its state lies in the
// test's folder; what it starts ends with the process namespace that scripts/test-cluster makes.
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ROOT } from "../../../src/testing/lab/lab.ts";
import { type Result, type Running, run, start, until } from "../../../src/testing/lab/process.ts";
import { PROGRAMS } from "./control-plane.ts";
import { type ImageFile, makeImage } from "./image.ts";

/** The image that holds sandboxes, serves and asks: programs/pod. */
export const POD_IMAGE = "localhost/pod:test";
/** Plug-ins that runtimes find: podwire's, and those of the CNI project; containerd wants `loopback` of these. */
const PLUGINS: readonly string[] = [
  join(ROOT, `build/native/linux-${process.arch}/podwire-cni`),
  ...["loopback", "bridge", "host-local"].map((name) => join(PROGRAMS, name)),
];

interface Options {
  readonly folder: string;
  /** What runs a program in the node's network, put before its words. */
  readonly inside: readonly string[];
}

export class Containerd {
  readonly socket: string;
  readonly #folder: string;
  readonly #running: Running;

  private constructor(folder: string, running: Running) {
    this.#folder = folder;
    this.socket = join(folder, "containerd.sock");
    this.#running = running;
  }

  static async start({ folder: parent, inside }: Options): Promise<Containerd> {
    const folder = join(parent, "containerd");
    for (const each of ["net.d", "bin"]) await mkdir(join(folder, each), { recursive: true });
    for (const plugin of PLUGINS) await symlink(plugin, join(folder, "bin", basename(plugin)));
    const config = join(folder, "config.toml");
    await writeFile(
      config,
      `version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${POD_IMAGE}"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${folder}/bin"
    conf_dir = "${folder}/net.d"
`,
    );
    const command = [...inside, "containerd", "--config", config];
    const made = new Containerd(folder, await start(command, /containerd successfully booted/, 60_000));
    try {
      await made.addImage(POD_IMAGE, [{ path: "pod", from: join(PROGRAMS, "pod") }], ["/pod"]);
    } catch (error) {
      await made.stop();
      throw error;
    }
    return made;
  }

  async addImage(name: string, files: readonly ImageFile[], command: readonly string[]): Promise<void> {
    await this.importImage(makeImage(this.#folder, name, files, command));
  }

  async importImage(archive: string): Promise<void> {
    await done(["ctr", "--address", this.socket, "-n", "k8s.io", "images", "import", archive]);
  }

  /** Other names for an image. */
  async tagImage(name: string, ...others: string[]): Promise<void> {
    await done([
      "ctr",
      "--address",
      this.socket,
      "-n",
      "k8s.io",
      "images",
      "tag",
      "--force",
      name,
      ...others,
    ]);
  }

  /** The network of pods that come from now on. It takes a file that is renamed within its folder, and no other. */
  async setNetwork(config: { readonly name: string; readonly [key: string]: unknown }): Promise<void> {
    const folder = join(this.#folder, "net.d");
    await writeFile(join(folder, ".new"), JSON.stringify(config));
    await rename(join(folder, ".new"), join(folder, "10-pods.conflist"));
    await until("containerd to have its network", async () => {
      const { stdout } = await this.crictl("info");
      const { status } = JSON.parse(stdout || "{}") as Info;
      const isReady = status?.conditions?.find(({ type }) => type === "NetworkReady")?.status === true;
      return isReady && stdout.includes(`"Name": "${config.name}"`);
    });
  }

  crictl(...words: string[]): Promise<Result> {
    const at = ["--runtime-endpoint", `unix://${this.socket}`, "--image-endpoint", `unix://${this.socket}`];
    return run([join(PROGRAMS, "crictl"), "--timeout", "60s", ...at, ...words]);
  }

  output(): string {
    return this.#running.output();
  }

  /** Pods first, or their processes would hold its folder. */
  async stop(): Promise<void> {
    const { stdout } = await this.crictl("pods", "-q");
    const pods = stdout.split("\n").filter((line) => line !== "");
    if (pods.length > 0) await this.crictl("rmp", "-f", ...pods);
    await this.#running.stop();
  }
}

interface Info {
  readonly status?: { readonly conditions?: readonly { type: string; status: boolean }[] };
}

async function done(command: readonly string[]): Promise<void> {
  const { status, stderr } = await run(command);
  if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
