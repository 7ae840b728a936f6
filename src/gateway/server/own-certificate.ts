// The certificate that is shown where no Ingress has one: made at the start, signed by itself, for nobody's name.
import { randomBytes, webcrypto } from "node:crypto";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const LIFE_MS = 365 * 86_400_000;
const BEFORE_MS = 3_600_000; // for clocks that are a little behind

/** PEM. */
export async function makeOwnCertificate(): Promise<{ readonly cert: string; readonly key: string }> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as never);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40; // positive (RFC 5280 §4.1.2.2)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{
      serialNumber: serial.toString("hex"),
      name: "CN=podwire gateway",
      signingAlgorithm: ALGORITHM,
      keys,
    },
    notBefore: new Date(Date.now() - BEFORE_MS),
    notAfter: new Date(Date.now() + LIFE_MS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "podwire.gateway" }]),
    ],
  });
  const key = x509.PemConverter.encode(
    await webcrypto.subtle.exportKey("pkcs8", keys.privateKey),
    "PRIVATE KEY",
  );
  return { cert: certificate.toString("pem"), key };
}
