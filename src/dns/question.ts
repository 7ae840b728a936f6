/** Questions of our own. */
import { Class, Flag, HEADER } from "./query.ts";

/** A query with this one question and the id 0. `name`: its key. */
export function questionOf(name: string, type: number): Buffer {
  const bytes = Buffer.alloc(HEADER + name.length + 4);
  bytes.writeUInt16BE(Flag.RD, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.write(name, HEADER, "latin1");
  bytes.writeUInt16BE(type, bytes.length - 4);
  bytes.writeUInt16BE(Class.IN, bytes.length - 2);
  return bytes;
}
