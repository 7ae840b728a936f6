// A machine as a node is one: a network, a name, and /run, /var/lib and /var/log of its own. What is mounted there later,
// as kubelet mounts volumes and a runtime its sandboxes, is gone with the machine's last process.
import { mkdir } from "node:fs/promises";
import { type Result, type Running, run, start } from "../../../src/testing/lab/process.ts";
import type { Namespaces } from "../../support/namespaces.ts";

/** /sys shows the devices of the network namespace in which it is mounted; control groups are the machine's below. */
const MAKE = `set -e
hostname "$1"
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/runtime
mount --bind "$2" /var/lib/runtime
mount --make-rshared /
echo made
exec sleep infinity`;

export class Machine {
  readonly name: string;
  readonly #first: Running;

  private constructor(name: string, first: Running) {
    this.name = name;
    this.#first = first;
  }

  /** In the namespace of this name. `folder` is its /var/lib/runtime. */
  static async start(namespaces: Namespaces, name: string, folder: string): Promise<Machine> {
    await mkdir(folder, { recursive: true });
    const apart = ["unshare", "--mount", "--uts", "--propagation", "private"];
    const script = ["bash", "-c", MAKE, "bash", name, folder];
    const command = ["nsenter", `--net=${namespaces.path(name)}`, ...apart, ...script];
    return new Machine(name, await start(command, /made/));
  }

  /** What runs a program on it, put before its words. */
  get inside(): readonly string[] {
    return ["nsenter", `--target=${this.#first.child.pid}`, "--net", "--mount", "--uts"];
  }

  run(...words: string[]): Promise<Result> {
    return run([...this.inside, ...words]);
  }

  async stop(): Promise<void> {
    await this.#first.stop("SIGKILL");
  }
}
