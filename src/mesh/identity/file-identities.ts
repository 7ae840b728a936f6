// Certificates from a directory, where somebody else puts them: ca.crt, and NAMESPACE.ACCOUNT.crt and .key of each
// identity. They are read anew every few seconds.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PodwireError } from "../../base/errors.ts";
import { readSpiffeId } from "../../kube/mesh/spiffe.ts";
import type { IdentitySource, Svid } from "./identity-source.ts";

const EVERY_MS = 5000;

export class FileIdentities implements IdentitySource {
  readonly #directory: string;
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  #wanted: readonly string[] = [];
  readonly #known = new Map<string, { readonly text: string; readonly svid: Svid }>();
  readonly #problems = new Map<string, string>();
  bundle = "";

  /** `onChange`: something was renewed. Throws where there is no ca.crt. */
  constructor(directory: string, onChange: () => void) {
    this.#directory = directory;
    this.#onChange = onChange;
    this.bundle = this.#read("ca.crt");
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  keep(ids: Iterable<string>): void {
    this.#wanted = [...ids];
    for (const id of this.#known.keys()) if (!this.#wanted.includes(id)) this.#known.delete(id);
    this.#look();
  }

  get(id: string): Svid | undefined {
    if (!this.#wanted.includes(id)) return undefined;
    return this.#known.get(id)?.svid;
  }

  async wait(id: string, _: number): Promise<Svid> {
    const svid = this.get(id);
    if (svid !== undefined) return svid;
    throw new PodwireError(`no certificate of ${id}: ${this.problemOf(id) || "nobody has asked for it"}`, {
      code: "MESH_IDENTITY",
    });
  }

  problemOf(id: string): string {
    return this.#problems.get(id) ?? "";
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    let isNew = false;
    for (const id of this.#wanted) {
      try {
        isNew = this.#take(id) || isNew;
        this.#problems.delete(id);
      } catch (error) {
        this.#problems.set(id, (error as Error).message.split("\n", 1)[0]);
      }
    }
    try {
      const bundle = this.#read("ca.crt");
      isNew ||= bundle !== this.bundle;
      this.bundle = bundle;
    } catch {
      // whom it trusted it goes on to trust
    }
    if (isNew) this.#onChange();
  }

  #take(id: string): boolean {
    const workload = readSpiffeId(id);
    if (workload === undefined) throw new Error(`${id} is no identity of a workload`);
    const name = `${workload.namespace}.${workload.serviceAccount}`;
    const [cert, key] = [this.#read(`${name}.crt`), this.#read(`${name}.key`)];
    const text = cert + key;
    if (this.#known.get(id)?.text === text) return false;
    const svid = { id, key, cert, notAfterMs: Date.parse(new X509Certificate(cert).validTo) };
    this.#known.set(id, { text, svid });
    return true;
  }

  #read(name: string): string {
    const file = join(this.#directory, name);
    try {
      return readFileSync(file, "utf8");
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new PodwireError(`${file} cannot be read (${code})`, { code: "MESH_IDENTITY", cause });
    }
  }
}
