// The name of the host's end of a pod's veth pair, as Calico's rules and `calicoctl` call it.
import { createHash } from "node:crypto";

const PREFIX = "cali";
const HASH_LENGTH = 11; // hex digits: with the prefix as long as the name of an interface may be

export function calicoInterfaceName(namespace: string, pod: string): string {
  const hash = createHash("sha1").update(`${namespace}.${pod}`).digest("hex");
  return `${PREFIX}${hash.slice(0, HASH_LENGTH)}`;
}
