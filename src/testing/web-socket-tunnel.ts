// A WebSocket whose binary messages are one stream of bytes, for tests: `ws` takes no subprotocol with a slash in its
// name, as newer kubectls ask for, so this is a client by hand (RFC 6455).
import { request } from "node:http";
import { Duplex } from "node:stream";

const BINARY = 0x82;
const CLOSE = 0x88;

export function openTunnel(port: number, path: string, protocol: string): Promise<Duplex> {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": Buffer.alloc(16, 7).toString("base64"),
    "sec-websocket-protocol": protocol,
  };
  return new Promise((resolve, reject) => {
    const made = request({ port, path, headers, agent: false }, (response) => {
      reject(new Error(`status ${response.statusCode}`));
      response.resume();
    });
    made.on("upgrade", (response, socket, head) => {
      if (response.headers["sec-websocket-protocol"] !== protocol) reject(new Error("another subprotocol"));
      if (head.length > 0) socket.unshift(head);
      resolve(tunnelOver(socket));
    });
    made.on("error", reject);
    made.end();
  });
}

function tunnelOver(socket: Duplex): Duplex {
  const tunnel = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(maskedFrame(BINARY, chunk), done),
    final: (done) => void socket.end(maskedFrame(CLOSE, Buffer.alloc(0)), done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const short = rest[1] & 0x7f;
      const head = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (rest.length < head) return;
      const size =
        short === 127 ? Number(rest.readBigUInt64BE(2)) : short === 126 ? rest.readUInt16BE(2) : short;
      if (rest.length < head + size) return;
      if (rest[0] === BINARY) tunnel.push(rest.subarray(head, head + size));
      if (rest[0] === CLOSE) tunnel.push(null);
      rest = rest.subarray(head + size);
    }
  });
  socket.on("close", () => tunnel.push(null));
  socket.on("error", () => {});
  return tunnel;
}

/** Clients' frames are masked; this mask is 0. */
function maskedFrame(type: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(14);
  head[0] = type;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(bytes.length), 2);
  return Buffer.concat([head, bytes]);
}
