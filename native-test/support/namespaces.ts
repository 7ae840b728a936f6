// Network namespaces of one test file: removed when the process ends, however it ends.
import { execFileSync, spawnSync } from "node:child_process";

export class Namespaces {
  readonly prefix: string;
  readonly #names: string[] = [];

  constructor(prefix: string) {
    this.prefix = `${prefix}-${process.pid}`;
    process.on("exit", () => this.remove());
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));
  }

  add(...names: string[]): void {
    for (const name of names) {
      this.#names.push(name);
      execFileSync("ip", ["netns", "add", this.nameOf(name)]);
      this.ip(name, "link set lo up");
    }
  }

  nameOf(name: string): string {
    return `${this.prefix}-${name}`;
  }

  /** The namespace file, as the addon wants it. */
  path(name: string): string {
    return `/run/netns/${this.nameOf(name)}`;
  }

  /** `ip -n NAMESPACE …`, words separated by blanks; throws what ip says. */
  ip(name: string, words: string): string {
    const args = ["-n", this.nameOf(name), ...words.split(" ")];
    const { status, stdout, stderr } = spawnSync("ip", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** A veth pair: eth0 in `a` and eth0 in `b`, up, MAC addresses ending in `0a` and `0b`. */
  connect(a: string, b: string): void {
    this.ip(a, `link add eth0 type veth peer name eth0 netns ${this.nameOf(b)}`);
    this.ip(a, "link set eth0 address 02:00:00:00:00:0a addrgenmode none up");
    this.ip(b, "link set eth0 address 02:00:00:00:00:0b addrgenmode none up");
  }

  command(name: string, words: string): string[] {
    return ["ip", "netns", "exec", this.nameOf(name), ...words.split(" ")];
  }

  has(name: string, device: string): boolean {
    return this.ip(name, "-br link")
      .split("\n")
      .some((line) => line.split(/[ @]/)[0] === device);
  }

  /** All of them, or these. */
  remove(...names: string[]): void {
    const gone = names.length > 0 ? names : [...this.#names];
    for (const name of gone) {
      spawnSync("ip", ["netns", "del", this.nameOf(name)]);
      this.#names.splice(this.#names.indexOf(name), 1);
    }
  }
}
