// The part of cap 0.2.1 (libpcap) that is used here; the package has no types of its own.
declare module "cap" {
  import type { EventEmitter } from "node:events";

  export class Cap extends EventEmitter {
    /** Opens a device; frames are written to `buffer`, one at a time, before "packet" is emitted. */
    open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
    send(frame: Buffer, bytes: number): void;
    close(): void;
    on(event: "packet", listener: (bytes: number, isTruncated: boolean) => void): this;
    static findDevice(ip?: string): string | undefined;
    static deviceList(): { name: string; flags?: string }[];
  }
}
