// Addresses and MACs that were asked for: by the runtime, else by annotations of the pod.
import type { Cidr, Ip } from "../base/ip.ts";
import { invalid } from "./fields.ts";
import { checkMac, type NetworkConfig, parseWantedIps } from "./network-config.ts";

const IPS = "podwire.dev/ips";
const MAC = "podwire.dev/mac";

type Annotations = Readonly<Record<string, string>> | undefined;

export function requestedAddresses(
  { ips }: NetworkConfig,
  annotations: Annotations,
  ranges: readonly Cidr[],
): Ip[] {
  const text = annotations?.[IPS] ?? "";
  const wanted = ips.length > 0 || text === "" ? ips : parseWantedIps(text.split(","), `annotation ${IPS}`);
  return wanted.map(({ address, prefixLen }) => {
    const range = ranges.find(({ family }) => family === address.family);
    if (prefixLen !== undefined && range !== undefined && prefixLen !== range.prefixLen) {
      throw invalid("ips", `a prefix length of ${prefixLen}, where the node's range has ${range.prefixLen}`);
    }
    return address;
  });
}

export function requestedMac({ mac }: NetworkConfig, annotations: Annotations): string | undefined {
  const text = annotations?.[MAC] ?? "";
  return mac ?? (text === "" ? undefined : checkMac(text, `annotation ${MAC}`));
}
