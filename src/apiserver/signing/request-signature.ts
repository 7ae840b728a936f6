// Whether a request for a certificate (PKCS #10, RFC 2986) is signed by the key that it names, in the words of Go's
// crypto/x509, which kube-apiserver asks. Extensions that are asked for are not read.
import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { BIT_STRING, type Element, partsOf, SEQUENCE, sequenceOf } from "../../kube/validate/signing/der.ts";
import { SIGNED } from "../../kube/validate/signing/signing-request.ts";

interface Algorithm {
  readonly key: "RSA" | "ECDSA" | "Ed25519";
  /** As node:crypto calls it; null: that of the key. */
  readonly hash: string | null;
  readonly isPss?: boolean;
}

const INTEGER = 0x02;
const OBJECT_IDENTIFIER = 0x06;
const SET = 0x31;
const NULL = "0500";
const KEY_BITS_LEAST = 1024;

/** By what their object identifiers are in hexadecimal digits. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  "2a864886f70d010105": { key: "RSA", hash: "sha1" },
  "2b0e03021d": { key: "RSA", hash: "sha1" },
  "2a864886f70d01010b": { key: "RSA", hash: "sha256" },
  "2a864886f70d01010c": { key: "RSA", hash: "sha384" },
  "2a864886f70d01010d": { key: "RSA", hash: "sha512" },
  "2a8648ce3d0401": { key: "ECDSA", hash: "sha1" },
  "2a8648ce3d040302": { key: "ECDSA", hash: "sha256" },
  "2a8648ce3d040303": { key: "ECDSA", hash: "sha384" },
  "2a8648ce3d040304": { key: "ECDSA", hash: "sha512" },
  "2b6570": { key: "Ed25519", hash: null },
};
const MD5_RSA = "2a864886f70d010104";
const PSS = "2a864886f70d01010a";
/** Parameters of PSS: a hash, the same one for its mask, and as long a salt. */
const pss = (hash: string, salt: string): RegExp => {
  const name = `060960864801650304020${hash}`;
  const identifier = `30(?:0d${name}0500|0b${name})`;
  return new RegExp(
    `^30..a0..${identifier}a1..30..06092a864886f70d010108${identifier}a2030201${salt}(?:a303020101)?$`,
  );
};
const PSS_HASHES = [
  ["sha256", pss("1", "20")],
  ["sha384", pss("2", "30")],
  ["sha512", pss("3", "40")],
] as const;

const [RSA_KEY, ECDSA_KEY, ED25519_KEY] = ["2a864886f70d010101", "2a8648ce3d0201", "2b6570"];
const GO_TYPES = { rsa: "*rsa.PublicKey", ec: "*ecdsa.PublicKey", ed25519: "ed25519.PublicKey" } as const;
const KEY_KINDS = { rsa: "RSA", ec: "ECDSA", ed25519: "Ed25519" } as const;
/** Names, and bytes of a coordinate. */
const CURVES: Readonly<Record<string, readonly [name: string, bytes: number]>> = {
  "06052b81040021": ["P224", 28],
  "06082a8648ce3d030107": ["P256", 32],
  "06052b81040022": ["P384", 48],
  "06052b81040023": ["P521", 66],
};
const UNCOMPRESSED = 4;
const UNKNOWN = "x509: cannot verify signature: algorithm unimplemented";
const MALFORMED = "asn1: structure error: tags don't match";
const ORGANIZATION = "55040a";

interface Request {
  readonly signed: Uint8Array;
  readonly subject: Element;
  readonly keyInfo: Element;
  readonly algorithm: Element;
  readonly signature: Uint8Array;
}

/** Undefined: it is. `der`: a whole request. */
export function signatureProblem(der: Uint8Array): string | undefined {
  const request = requestOf(der);
  const key = request === undefined ? MALFORMED : keyOf(der, request.keyInfo);
  if (request === undefined || typeof key === "string") return key as string;
  const algorithm = algorithmOf(der, request.algorithm);
  if (typeof algorithm === "string") return algorithm;
  const kind = key?.asymmetricKeyType as keyof typeof GO_TYPES | undefined;
  if (key === undefined || kind === undefined) return UNKNOWN;
  if (KEY_KINDS[kind] !== algorithm.key) {
    const wanted = `signature algorithm specifies an ${algorithm.key} public key`;
    return `x509: ${wanted}, but have public key of type ${GO_TYPES[kind]}`;
  }
  const { modulusLength: bits = KEY_BITS_LEAST } = key.asymmetricKeyDetails ?? {};
  if (bits < KEY_BITS_LEAST)
    return `crypto/rsa: ${bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)`;
  if (isVerified(request, algorithm, key)) return undefined;
  return kind === "rsa" ? "crypto/rsa: verification error" : `x509: ${algorithm.key} verification failure`;
}

/** Groups that its subject would be in. */
export function organizationsOf(der: Uint8Array): string[] {
  const subject = requestOf(der)?.subject;
  const sets = subject === undefined ? [] : (partsOf(der, subject) ?? []);
  return sets
    .filter(({ tag }) => tag === SET)
    .flatMap((set) => partsOf(der, set) ?? [])
    .flatMap((pair) => {
      const [type, value] = partsOf(der, pair) ?? [];
      if (value === undefined || hex(der, type) !== ORGANIZATION) return [];
      return [Buffer.from(der.subarray(value.start, value.end)).toString("utf8")];
    });
}

function requestOf(der: Uint8Array): Request | undefined {
  const [info, algorithm, signature] = sequenceOf(der, SIGNED) ?? [];
  if (info === undefined) return undefined;
  const [version, subject, keyInfo] = partsOf(der, info) ?? [];
  if (version?.tag !== INTEGER || subject?.tag !== SEQUENCE || keyInfo?.tag !== SEQUENCE) return undefined;
  return {
    ...{ subject, keyInfo, algorithm, signed: der.subarray(info.from, info.end) },
    // As of a key's bits.
    signature: der.subarray(signature.start + 1, signature.end),
  };
}

/** An object identifier, and what stands beside it; in hexadecimal digits. */
function identifierOf(der: Uint8Array, element: Element): { id: string; parameters: string } | undefined {
  const [id, parameters] = partsOf(der, element) ?? [];
  if (id?.tag !== OBJECT_IDENTIFIER) return undefined;
  const given = parameters === undefined ? "" : Buffer.from(der.subarray(parameters.from, parameters.end));
  return { id: hex(der, id), parameters: given.toString("hex") };
}

const hex = (der: Uint8Array, { start, end }: Element): string =>
  Buffer.from(der.subarray(start, end)).toString("hex");

/** A text: what is wrong with it. Undefined: of a kind that nobody verifies with. */
function keyOf(der: Uint8Array, info: Element): KeyObject | string | undefined {
  const [algorithm, bits] = partsOf(der, info) ?? [];
  const identifier = algorithm === undefined ? undefined : identifierOf(der, algorithm);
  if (identifier === undefined || bits?.tag !== BIT_STRING) return MALFORMED;
  const { id, parameters } = identifier;
  if (id === RSA_KEY && parameters !== NULL) return "x509: RSA key missing NULL parameters";
  // The first byte says how many bits of the last one do not count.
  const point =
    id === ECDSA_KEY ? pointProblem(der.subarray(bits.start + 1, bits.end), parameters) : undefined;
  if (point !== undefined) return point;
  if (id === ED25519_KEY && parameters !== "") return "x509: Ed25519 key encoded with illegal parameters";
  if (![RSA_KEY, ECDSA_KEY, ED25519_KEY].includes(id)) return undefined;
  try {
    const key = Buffer.from(der.subarray(info.from, info.end));
    return createPublicKey({ key, format: "der", type: "spki" });
  } catch {
    if (id === RSA_KEY) return "x509: invalid RSA public key";
    if (id === ED25519_KEY) return "x509: wrong Ed25519 public key size";
    return `${CURVES[parameters][0]} point not on curve`;
  }
}

function pointProblem(point: Uint8Array, parameters: string): string | undefined {
  if (!parameters.startsWith("06")) return "x509: invalid ECDSA parameters";
  const curve = CURVES[parameters];
  if (curve === undefined) return "x509: unsupported elliptic curve";
  if (point[0] !== UNCOMPRESSED) return "ecdsa: invalid uncompressed public key";
  return point.length === 1 + 2 * curve[1] ? undefined : `invalid ${curve[0]} point encoding`;
}

function algorithmOf(der: Uint8Array, element: Element): Algorithm | string {
  const { id = "", parameters = "" } = identifierOf(der, element) ?? {};
  if (id === MD5_RSA) return "x509: cannot verify signature: insecure algorithm MD5-RSA";
  if (id === PSS) {
    const [hash] = PSS_HASHES.find(([, pattern]) => pattern.test(parameters)) ?? [];
    return hash === undefined ? UNKNOWN : { key: "RSA", hash, isPss: true };
  }
  const known = ALGORITHMS[id];
  return known === undefined || (known.hash === null && parameters !== "") ? UNKNOWN : known;
}

function isVerified(
  { signed, signature }: Request,
  { hash, isPss = false }: Algorithm,
  key: KeyObject,
): boolean {
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  try {
    return verify(hash, signed, isPss ? { key, padding, saltLength } : key, signature);
  } catch {
    return false;
  }
}
