declare module "raw-socket" {
  import type { EventEmitter } from "node:events";

  export interface SocketOptions {
    protocol: number;
    addressFamily: number;
    /** Bytes of the one buffer that every message is received into. */
    bufferSize?: number;
  }

  /** "message" (bytes, source address), "error" (Error), "close". */
  export interface Socket extends EventEmitter {
    send(
      buffer: Buffer,
      offset: number,
      length: number,
      address: string,
      before: (() => void) | null,
      after: (error: Error | null, bytes: number) => void,
    ): this;
    setOption(level: number, option: number, value: number): void;
    close(): this;
  }

  export function createSocket(options: SocketOptions): Socket;
  export const AddressFamily: { readonly IPv4: 1; readonly IPv6: 2 };
  export const Protocol: { readonly ICMP: 1; readonly ICMPv6: 58 };
}
