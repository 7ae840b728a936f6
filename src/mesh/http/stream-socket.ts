// A stream of HTTP/2 as what reads requests takes it: a socket.
import { constants, type Http2Stream } from "node:http2";
import type { Socket } from "node:net";

/** The stream itself, with what sockets have and it has not. */
export function asSocket(stream: Http2Stream): Socket {
  let written = 0;
  const write = stream.write.bind(stream) as (chunk: string | Buffer, ...more: unknown[]) => boolean;
  return Object.defineProperties(stream, {
    resetAndDestroy: { value: () => stream.close(constants.NGHTTP2_CONNECT_ERROR) },
    bytesWritten: { get: () => written },
    write: {
      value: (chunk: string | Buffer, ...more: unknown[]) => {
        written += chunk.length;
        return write(chunk, ...more);
      },
    },
  }) as unknown as Socket;
}
