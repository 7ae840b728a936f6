// The certificates of a lab's API server: an authority of its own, the server's certificate and its owner's, and the key
// that tokens of service accounts are signed with. P-256 throughout; they last ten years, and a lab not that long.
import { randomBytes, webcrypto } from "node:crypto";

export interface Credentials {
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly adminCert: string;
  readonly adminKey: string;
  readonly accountKey: string;
  readonly adminToken: string;
}

type KeyPair = webcrypto.CryptoKeyPair;

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const LIFE_MS = 3650 * 86_400_000;
/** A clock that is a little behind takes them too. */
const BEFORE_MS = 3_600_000;

/** PEM. `names`: what the server is called; `addresses`: where it is. */
export async function makeCredentials(
  lab: string,
  names: readonly string[],
  addresses: readonly string[],
): Promise<Credentials> {
  // Here, for the lab that has them already needs no library.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as never);
  const make = (): Promise<KeyPair> => webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const [caKeys, serverKeys, adminKeys, accountKeys] = await Promise.all([make(), make(), make(), make()]);
  const life = { notBefore: new Date(Date.now() - BEFORE_MS), notAfter: new Date(Date.now() + LIFE_MS) };
  const { KeyUsageFlags: use, ExtendedKeyUsage: purpose } = x509;
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...{
      serialNumber: serial(),
      name: `CN=podwire lab ${lab}`,
      ...life,
      signingAlgorithm: ALGORITHM,
      keys: caKeys,
    },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(use.keyCertSign | use.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const issue = async (subject: string, keys: KeyPair, isServer: boolean): Promise<string> => {
    const san = [
      ...names.map((value) => ({ type: "dns", value }) as const),
      ...addresses.map((value) => ({ type: "ip", value }) as const),
    ];
    const certificate = await x509.X509CertificateGenerator.create({
      ...{ serialNumber: serial(), subject, issuer: ca.subject, ...life, signingAlgorithm: ALGORITHM },
      ...{ publicKey: keys.publicKey, signingKey: caKeys.privateKey },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(use.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([isServer ? purpose.serverAuth : purpose.clientAuth]),
        await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
        ...(isServer ? [new x509.SubjectAlternativeNameExtension(san)] : []),
      ],
    });
    return certificate.toString("pem");
  };
  const keyText = async ({ privateKey }: KeyPair): Promise<string> =>
    x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
  return {
    ca: ca.toString("pem"),
    serverCert: await issue("CN=kube-apiserver", serverKeys, true),
    serverKey: await keyText(serverKeys),
    adminCert: await issue("O=system:masters,CN=kubernetes-admin", adminKeys, false),
    adminKey: await keyText(adminKeys),
    accountKey: await keyText(accountKeys),
    adminToken: randomBytes(32).toString("base64url"),
  };
}

/** Positive, as RFC 5280 §4.1.2.2 has it. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes.toString("hex");
}
