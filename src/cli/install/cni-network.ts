// The network that runtimes are given, and where most of them look for it.
import { isAbsolute } from "node:path";
import { InvalidArgumentError } from "commander";

export const CNI_BIN_DIR = "/opt/cni/bin";
export const CNI_CONF_DIR = "/etc/cni/net.d";
/** Runtimes that know 1.1.0 take it, for its GC and STATUS; to others it is one of 1.0.0. */
export const CONFLIST = `{
  "cniVersion": "1.0.0",
  "cniVersions": [ "1.0.0", "1.1.0" ],
  "name": "podwire",
  "plugins": [
    {
      "type": "podwire-cni",
      "capabilities": { "portMappings": true, "ips": true, "mac": true, "dns": true, "bandwidth": true }
    }
  ]
}
`;

/** Of an option. A runtime has another working directory than whoever types this; an API server takes no "..". */
export function cniFolder(text: string): string {
  if (!isAbsolute(text)) throw new InvalidArgumentError("It is no absolute path.");
  if (!text.split("/").includes("..")) return text;
  throw new InvalidArgumentError('It goes by "..": name the folder itself.');
}
