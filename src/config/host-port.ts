// "IP:port" as KubeProxyConfiguration writes the addresses of its servers.
import { parseIp } from "../base/ip.ts";

export interface HostPort {
  readonly address: string;
  readonly port: number;
}

/** Null: the text is no IP:port ("[IP]:port" for IPv6). */
export function parseHostPort(text: string): HostPort | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? "";
  const port = Number(digits);
  const family = parseIp(address)?.family;
  if (family === undefined || (family === 6) !== (bracketed !== undefined)) return null;
  return port >= 1 && port <= 65_535 ? { address, port } : null;
}

export function formatHostPort({ address, port }: HostPort): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
