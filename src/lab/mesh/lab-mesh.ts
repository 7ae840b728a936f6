// The mesh of a lab: its proxies run as long as a namespace has the label, and who they are is signed here.
import { setImmediate as turn } from "node:timers/promises";
import type { Cluster } from "../../cluster/cluster.ts";
import { namespaceObject } from "../../cluster/outcome.ts";
import type { LabMeshSettings } from "../../config/lab-mesh.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import { isMeshed, MESH_NAMESPACE } from "../../kube/mesh/mesh-names.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import { oneLine } from "../errors.ts";
import type { LabPaths } from "../state-dir.ts";
import type { Topology } from "../topology.ts";
import { MeshAuthority } from "./mesh-authority.ts";
import { MESH_MANAGED, MESH_PARTS, meshObjects } from "./mesh-objects.ts";
import { MeshSigner } from "./mesh-signer.ts";
import { cleanRequests } from "./request-cleaner.ts";

export class LabMesh {
  readonly #cluster: Cluster;
  readonly #topology: Topology;
  readonly #paths: LabPaths;
  readonly #settings: LabMeshSettings;
  readonly #log: (line: string) => void;
  #authority: Promise<MeshAuthority> | undefined;
  #made = "";
  #told = "";
  #isDue = false;
  #isAtWork = false;

  constructor(cluster: Cluster, topology: Topology, paths: LabPaths, log: (line: string) => void) {
    this.#cluster = cluster;
    this.#topology = topology;
    this.#paths = paths;
    this.#settings = topology.mesh ?? {};
    this.#log = log;
  }

  /** From now on. */
  start(): void {
    cleanRequests(this.#cluster);
    if (this.#settings.enabled === false) return;
    const { certificateSec } = this.#settings;
    const authority = (): Promise<MeshAuthority> => this.#open();
    new MeshSigner({ cluster: this.#cluster, authority, certificateSec, log: this.#log }).start();
    this.#cluster.onChange(({ object }) => {
      const isOwn = MESH_PARTS.includes(object.kind) && object.metadata.namespace === MESH_NAMESPACE;
      if (object.kind === "Namespace" || isOwn) void this.#look();
    });
    void this.#look();
  }

  #open(): Promise<MeshAuthority> {
    this.#authority ??= MeshAuthority.open(this.#topology.lab, this.#paths);
    return this.#authority;
  }

  /** In a turn of its own, not in the middle of the change that is told. */
  async #look(): Promise<void> {
    this.#isDue = true;
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    while (this.#isDue) {
      await turn();
      this.#isDue = false;
      try {
        if (this.#isWanted()) await this.#keep();
        else this.#end();
      } catch (error) {
        this.#tell(`mesh: ${oneLine(error)}`); // its namespace may be about to go
      }
    }
    this.#isAtWork = false;
  }

  #isWanted(): boolean {
    return this.#cluster.list("Namespace").some(({ metadata }) => isMeshed(metadata.labels));
  }

  async #keep(): Promise<void> {
    const { cert } = await this.#open();
    const objects = meshObjects(this.#topology, this.#settings, cert);
    const text = JSON.stringify(objects);
    const found = objects.map((each) => this.#cluster.get(each.kind, keyOf(each)));
    if (this.#made === text && found.every((each) => each !== undefined)) return;
    const taken = found.find((each) => each !== undefined && !isManaged(each));
    if (taken !== undefined) {
      this.#tell(`mesh: the proxies do not run: there is another ${taken.kind} ${keyOf(taken)}`);
      return;
    }
    if (this.#cluster.get("Namespace", MESH_NAMESPACE) === undefined)
      this.#cluster.update(namespaceObject(MESH_NAMESPACE));
    this.#cluster.applyManifests(objects.map((each) => manifestOf(each, "lab", { carries: true })));
    this.#made = text;
  }

  #end(): void {
    this.#made = "";
    for (const kind of MESH_PARTS)
      for (const object of this.#cluster.list(kind, MESH_NAMESPACE))
        if (isManaged(object)) this.#cluster.delete(object);
  }

  #tell(line: string): void {
    if (line !== this.#told) this.#log(line);
    this.#told = line;
  }
}

function isManaged({ metadata: { labels = {} } }: KubeObject): boolean {
  return Object.entries(MESH_MANAGED).every(([name, value]) => labels[name] === value);
}
