// Columns of kinds that podwire has none for: those of the server's tables, with what it printed of each object.
import type { KubeObject } from "../../kube/objects.ts";
import type { Column } from "../table.ts";
import { type ApiClient, type ObjectTable, type Place, tableOf } from "./api-client.ts";

export class ServerTable {
  readonly columns: readonly Column<KubeObject>[];
  /** Of each object as it was when it came: later ones are other objects. */
  readonly #cells = new WeakMap<KubeObject, readonly unknown[]>();

  constructor(table: ObjectTable) {
    this.columns = table.columns.map(({ name, priority }, at) => ({
      header: name.toUpperCase(),
      value: (object) => cellText(this.#cells.get(object)?.[at]),
      wide: priority > 0,
    }));
    this.#add(table);
  }

  /** The object of a watch's event, which is a table of one row. */
  objectOf(event: object): KubeObject {
    const table = tableOf(event);
    this.#add(table);
    return table.items[0];
  }

  /** Rows of another table of the kind. */
  take(other: ServerTable, objects: readonly KubeObject[]): void {
    for (const object of objects) this.#cells.set(object, other.#cells.get(object) ?? []);
  }

  async listAnew(api: ApiClient, place: Place): Promise<ObjectTable> {
    const table = await api.table(place);
    this.#add(table);
    return table;
  }

  #add({ cells }: ObjectTable): void {
    for (const [object, row] of cells) this.#cells.set(object, row);
  }
}

function cellText(cell: unknown): string {
  return cell === undefined || cell === null ? "" : String(cell);
}
