// A TCP connection to a port of a pod's own loopback: 127.0.0.1, and ::1 where nobody listens there.
import { Socket } from "node:net";
import { errnoName, loadNative } from "../../../native/binding.ts";

const LOOPBACK: readonly (readonly [family: number, address: string])[] = [
  [4, "127.0.0.1"],
  [6, "::1"],
];

/** `netns`: path. Rejects with one line. */
export async function connectInside(netns: string, port: number): Promise<Socket> {
  let failure = "";
  for (const [family, address] of LOOPBACK) {
    try {
      return await connect(netns, family, address, port);
    } catch (error) {
      failure ||=
        (error as NodeJS.ErrnoException).code === "ECONNREFUSED" ? "connection refused" : String(error);
    }
  }
  throw new Error(`failed to connect to localhost:${port} inside the pod: ${failure}`);
}

function connect(netns: string, family: number, host: string, port: number): Promise<Socket> {
  const fd = loadNative().openTcp(netns, family);
  if (fd < 0) return Promise.reject(new Error(`network namespace ${netns}: ${errnoName(fd)}`));
  // Not read before it is connected: reading is what a socket of a given descriptor would begin with.
  const socket = new Socket({ fd, allowHalfOpen: true, manualStart: true } as ConstructorParameters<
    typeof Socket
  >[0]);
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.connect({ host, port }, () => {
      socket.off("error", reject);
      socket.on("error", () => {}); // whoever reads it sees that it is closed
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}
