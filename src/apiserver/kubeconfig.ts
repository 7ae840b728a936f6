// What kubectl and every other client is told of a lab's API server.
import type { Credentials } from "./certificates.ts";

/** Text of its owner's kubeconfig, as JSON, which is YAML. */
export function kubeconfigText(lab: string, server: string, given: Credentials): string {
  return configText(lab, server, given.ca, {
    "client-certificate-data": encoded(given.adminCert),
    "client-key-data": encoded(given.adminKey),
  });
}

/** The same of whoever has this token. */
export function tokenKubeconfigText(lab: string, server: string, ca: string, token: string): string {
  return configText(lab, server, ca, { token });
}

function encoded(text: string): string {
  return Buffer.from(`${text.trim()}\n`).toString("base64");
}

function configText(lab: string, server: string, ca: string, user: object): string {
  const name = `podwire-${lab}`;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server, "certificate-authority-data": encoded(ca) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [{ name, user }],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
