// The network that runtimes are given, and where most of them look for it.

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
