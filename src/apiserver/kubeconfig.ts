// What kubectl and every other client is told of a lab's API server.
import type { Credentials } from "./certificates.ts";

/** Text of a kubeconfig, as JSON, which is YAML. */
export function kubeconfigText(lab: string, server: string, given: Credentials): string {
  const encoded = (text: string): string => Buffer.from(`${text.trim()}\n`).toString("base64");
  const name = `podwire-${lab}`;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server, "certificate-authority-data": encoded(given.ca) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [
      {
        name,
        user: {
          "client-certificate-data": encoded(given.adminCert),
          "client-key-data": encoded(given.adminKey),
        },
      },
    ],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
