// Authorities and certificates for tests, of whatever names and dates: P-256, PEM.
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

export interface Asked {
  /** DNS names; "spiffe://…" becomes a URI. */
  readonly names?: readonly string[];
  /** Common name; left out: "test". */
  readonly subject?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
}

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly cert: string;
  readonly #subject: string;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(cert: string, subject: string, keys: webcrypto.CryptoKeyPair) {
    this.cert = cert;
    this.#subject = subject;
    this.#keys = keys;
  }

  /** Signed by itself. */
  static async make(subject: string): Promise<Authority> {
    const keys = await newKeys();
    const cert = await certificate({ subject }, keys.publicKey, keys.privateKey, subject, true);
    return new Authority(cert, subject, keys);
  }

  /** An authority that this one has signed. */
  async intermediate(subject: string): Promise<Authority> {
    const keys = await newKeys();
    const cert = await certificate({ subject }, keys.publicKey, this.#keys.privateKey, this.#subject, true);
    return new Authority(cert, subject, keys);
  }

  async issue(asked: Asked): Promise<Issued> {
    const keys = await newKeys();
    const cert = await certificate(asked, keys.publicKey, this.#keys.privateKey, this.#subject, false);
    const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
    return { cert, key: x509.PemConverter.encode(der, "PRIVATE KEY") };
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function certificate(
  { names = [], subject = "test", fromMs = Date.now() - DAY_MS, toMs = Date.now() + 365 * DAY_MS }: Asked,
  publicKey: webcrypto.CryptoKey,
  signingKey: webcrypto.CryptoKey,
  issuer: string,
  isAuthority: boolean,
): Promise<string> {
  const { KeyUsageFlags: use } = x509;
  const san = names.map((value) => ({ type: value.includes("://") ? "url" : "dns", value }) as const);
  const made = await x509.X509CertificateGenerator.create({
    ...{
      subject: `CN=${subject}`,
      issuer: `CN=${issuer}`,
      publicKey,
      signingKey,
      signingAlgorithm: ALGORITHM,
    },
    ...{
      serialNumber: `4${randomBytes(15).toString("hex")}`,
      notBefore: new Date(fromMs),
      notAfter: new Date(toMs),
    },
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority, undefined, true),
      new x509.KeyUsagesExtension(isAuthority ? use.keyCertSign : use.digitalSignature, true),
      ...(san.length > 0 ? [new x509.SubjectAlternativeNameExtension(san)] : []),
    ],
  });
  return `${made.toString("pem")}\n`;
}
