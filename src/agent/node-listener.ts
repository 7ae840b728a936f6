/** HTTP servers in the node's network namespace, wherever the agent's process lives. */
import { createServer, type RequestListener, type Server } from "node:http";
import { PodwireError } from "../base/errors.ts";
import { formatHostPort, type HostPort } from "../config/host-port.ts";
import { errnoName, type Native } from "../native/binding.ts";

const BACKLOG = 128;
const EADDRNOTAVAIL = -99;
const EAFNOSUPPORT = -97;

export interface NodeListener {
  /** Open connections are ended too: whoever keeps one would go on asking a server that is gone. */
  close(): void;
}

export type OpenListener = (where: HostPort, handler: RequestListener) => Promise<NodeListener>;

/** Opens servers in `netns` ("": the process's own). They throw a PodwireError when the address is not to be had. */
export function nodeListeners(native: Native, netns: string): OpenListener {
  return async (where, handler) => {
    const fd = listen(native, netns, where);
    if (fd < 0) {
      const place = netns === "" ? "" : ` in ${netns}`;
      throw new PodwireError(`cannot listen on ${formatHostPort(where)}${place}: ${errnoName(fd)}`, {
        code: "AGENT_LISTEN",
        ...where,
      });
    }
    const server = createServer((request, response) => {
      request.resume(); // a body that nobody reads would hold the connection
      handler(request, response);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd }, resolve);
    });
    return { close: () => closeServer(server) };
  };
}

/** "0.0.0.0" and "::" are both every address of both families, as in Go; of IPv4 alone where there is no IPv6. */
function listen(native: Native, netns: string, { address, port }: HostPort): number {
  if (address !== "0.0.0.0" && address !== "::") return native.listenTcp(netns, address, port, BACKLOG);
  const fd = native.listenTcp(netns, "::", port, BACKLOG);
  const noV6 = fd === EAFNOSUPPORT || fd === EADDRNOTAVAIL;
  return noV6 ? native.listenTcp(netns, "0.0.0.0", port, BACKLOG) : fd;
}

function closeServer(server: Server): void {
  server.close();
  server.closeAllConnections();
}
