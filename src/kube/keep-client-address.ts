// podwire.dev/keep-client-address on a Node: "true" says that its data plane takes clients of services under their own
// addresses, which other nodes bring through the tunnel, and answers by whoever brought them.
export const KEEP_CLIENT_ADDRESS = "podwire.dev/keep-client-address";

export function keepsClientAddresses(annotations: Readonly<Record<string, string>> = {}): boolean {
  return annotations[KEEP_CLIENT_ADDRESS] === "true";
}
