// The mesh's authority of a lab: a key of its own, apart from the Kubernetes API's, kept with the lab's state. What it
// signs are identities of workloads (X.509-SVIDs: SPIFFE's X509-SVID.md), and for whom, its caller has decided.
import { randomBytes, webcrypto } from "node:crypto";
import { TRUST_DOMAIN } from "../../kube/mesh/mesh-names.ts";
import { spiffeId, type Workload } from "../../kube/mesh/spiffe.ts";
import { type LabPaths, readJson, writePrivately } from "../state-dir.ts";

/** PEM, both. */
interface SavedAuthority {
  readonly cert: string;
  readonly key: string;
}

/** What somebody asks to be signed. */
export interface ReadRequest {
  /** Whether the key that it names has signed it. */
  readonly isSigned: boolean;
  readonly isKeyStrong: boolean;
  /** "URI spiffe://…", "DNS name" …: every name that it asks for, its subject among them. */
  readonly names: readonly string[];
  readonly der: ArrayBuffer;
}

type X509 = typeof import("@peculiar/x509");

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const CA_LIFE_MS = 3650 * 86_400_000;
/** A clock that is a little behind takes them too. */
const BEFORE_MS = 60_000;
const CURVES = ["P-256", "P-384", "P-521"];
const RSA_BITS_LEAST = 2048;

export class MeshAuthority {
  readonly cert: string;
  readonly #key: webcrypto.CryptoKey;
  readonly #x509: X509;

  private constructor(cert: string, key: webcrypto.CryptoKey, x509: X509) {
    this.cert = cert;
    this.#key = key;
    this.#x509 = x509;
  }

  /** That of the lab; made where there is none. */
  static async open(lab: string, paths: LabPaths): Promise<MeshAuthority> {
    await import("reflect-metadata");
    const x509 = await import("@peculiar/x509");
    x509.cryptoProvider.set(webcrypto as never);
    const saved = readJson<SavedAuthority>(paths.mesh) ?? (await makeAuthority(lab, x509));
    await writePrivately(paths.mesh, JSON.stringify(saved));
    const der = x509.PemConverter.decode(saved.key)[0];
    const key = await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
    return new MeshAuthority(saved.cert, key, x509);
  }

  /** `pem`: PKCS #10. Undefined: it cannot be read. */
  async read(pem: string): Promise<ReadRequest | undefined> {
    const { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } = this.#x509;
    try {
      const request = new Pkcs10CertificateRequest(pem);
      const key = await request.publicKey.export(webcrypto as never);
      const { namedCurve = "", modulusLength = 0 } = key.algorithm as never;
      const san = request.extensions.find((each) => each instanceof SubjectAlternativeNameExtension) as
        | InstanceType<typeof SubjectAlternativeNameExtension>
        | undefined;
      const alternative = san?.names.items.map(({ type, value }) => `${WORDS[type] ?? type} ${value}`) ?? [];
      return {
        isSigned: await request.verify(webcrypto as never),
        isKeyStrong: CURVES.includes(namedCurve) || modulusLength >= RSA_BITS_LEAST,
        names: [...(request.subject === "" ? [] : [`subject ${request.subject}`]), ...alternative],
        der: request.publicKey.rawData,
      };
    } catch {
      return undefined;
    }
  }

  /** A certificate in PEM for the key of a request, which was looked at. */
  async sign({ der }: ReadRequest, workload: Workload, lifeMs: number): Promise<string> {
    const x509 = this.#x509;
    const { KeyUsageFlags: use, ExtendedKeyUsage: purpose } = x509;
    const issuer = new x509.X509Certificate(this.cert);
    const publicKey = new x509.PublicKey(der);
    const nowMs = Date.now();
    const certificate = await x509.X509CertificateGenerator.create({
      ...{ serialNumber: serial(), subject: "", issuer: issuer.subject, signingAlgorithm: ALGORITHM },
      ...{ notBefore: new Date(nowMs - BEFORE_MS), notAfter: new Date(nowMs + lifeMs) },
      ...{ publicKey, signingKey: this.#key as never },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(use.digitalSignature | use.keyEncipherment, true),
        new x509.ExtendedKeyUsageExtension([purpose.serverAuth, purpose.clientAuth]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
        // Critical, as there is no subject (RFC 5280 §4.2.1.6).
        new x509.SubjectAlternativeNameExtension([{ type: "url", value: spiffeId(workload) }], true),
      ],
    });
    return `${certificate.toString("pem")}\n`;
  }
}

/** The library's words for kinds of names. */
const WORDS: Readonly<Record<string, string>> = { url: "URI", dns: "DNS", ip: "IP", email: "e-mail" };

async function makeAuthority(lab: string, x509: X509): Promise<SavedAuthority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const nowMs = Date.now();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ serialNumber: serial(), name: `CN=podwire mesh of lab ${lab}`, signingAlgorithm: ALGORITHM },
    ...{ notBefore: new Date(nowMs - BEFORE_MS), notAfter: new Date(nowMs + CA_LIFE_MS), keys },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${TRUST_DOMAIN}` }]),
    ],
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: `${ca.toString("pem")}\n`, key: x509.PemConverter.encode(key, "PRIVATE KEY") };
}

/** Positive, as RFC 5280 §4.1.2.2 has it. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes.toString("hex");
}
