// Requests for certificates (PKCS #10) of every kind of key and signature, well-formed and not: for our own check of
// them, and for a real API server, which has to say the same.
import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const hex = (text: string): Buffer => Buffer.from(text, "hex");
const id = (text: string): Buffer => der(0x06, hex(text));
const NULL = hex("0500");
const version = hex("020100");
const bits = (of: Buffer): Buffer => der(0x03, Buffer.from([0]), of);
const named = (type: string, text: string): Buffer =>
  der(0x31, sequence(id(type), der(0x0c, Buffer.from(text))));

interface Parts {
  readonly keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  /** DER of an AlgorithmIdentifier. */
  readonly algorithm: Buffer;
  readonly hash: string | null;
  readonly isPss?: boolean;
  readonly organization?: string;
  /** Instead of the key's own. */
  readonly keyInfo?: Buffer;
}

/** DER. */
function requestOf({ keys, algorithm, hash, isPss, organization = "team", keyInfo }: Parts): Buffer {
  const subject = sequence(named("55040a", organization), named("550403", "jane"));
  const info = keyInfo ?? keys.publicKey.export({ type: "spki", format: "der" });
  const signed = sequence(version, subject, info, hex("a000"));
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  const { privateKey: key } = keys;
  return sequence(signed, algorithm, bits(sign(hash, signed, isPss ? { key, padding, saltLength } : key)));
}

/** As `spec.request` has it. */
const asked = (request: Buffer, type = "CERTIFICATE REQUEST", head = ""): string => {
  const lines = request.toString("base64").replaceAll(/.{64}/g, "$&\n");
  return Buffer.from(`-----BEGIN ${type}-----\n${head}${lines}\n-----END ${type}-----\n`).toString("base64");
};
/** Another last byte. */
const spoilt = (request: Buffer): Buffer => {
  const copy = Buffer.from(request);
  copy[copy.length - 1] ^= 1;
  return copy;
};

const ecdsa = (namedCurve: string): Parts["keys"] => generateKeyPairSync("ec", { namedCurve });
const rsa = (modulusLength: number): Parts["keys"] => generateKeyPairSync("rsa", { modulusLength });
const SHA256_ECDSA = sequence(id("2a8648ce3d040302"));
const rsaWith = (last: string): Buffer => sequence(id(`2a864886f70d0101${last}`), NULL);
const pss = (hash: string, salt: string, mask = hash): Buffer => {
  const one = (of: string): Buffer => sequence(id(`60864801650304020${of}`), NULL);
  const masked = sequence(id("2a864886f70d010108"), one(mask));
  const parts = [der(0xa0, one(hash)), der(0xa1, masked), der(0xa2, hex(`0201${salt}`))];
  return sequence(id("2a864886f70d01010a"), sequence(...parts));
};

const p256 = { keys: ecdsa("P-256"), algorithm: SHA256_ECDSA, hash: "sha256" };
const rsa2048 = { keys: rsa(2048), algorithm: rsaWith("0b"), hash: "sha256" };
const ed25519 = { keys: generateKeyPairSync("ed25519"), algorithm: sequence(id("2b6570")), hash: null };
const publicKey = (parts: Parts): Buffer => parts.keys.publicKey.export({ type: "spki", format: "der" });
/** A key that says of itself what another one says. */
const keyWith = (algorithm: Buffer, key: Buffer): Buffer => sequence(algorithm, bits(key));

/** What is asked, and the words in which it is refused; "": it is not. */
export const SIGNING_CASES: readonly (readonly [name: string, request: string, why: string])[] = [
  ...(
    [
      ["P-256", p256],
      ["P-224", { ...p256, keys: ecdsa("secp224r1") }],
      [
        "P-384",
        { ...p256, keys: ecdsa("P-384"), algorithm: sequence(id("2a8648ce3d040303")), hash: "sha384" },
      ],
      [
        "P-521",
        { ...p256, keys: ecdsa("P-521"), algorithm: sequence(id("2a8648ce3d040304")), hash: "sha512" },
      ],
      ["ECDSA with SHA-1", { ...p256, algorithm: sequence(id("2a8648ce3d0401")), hash: "sha1" }],
      ["RSA", rsa2048],
      ["RSA with SHA-1", { ...rsa2048, algorithm: rsaWith("05"), hash: "sha1" }],
      [
        "RSA with SHA-1 by its old name",
        { ...rsa2048, algorithm: sequence(id("2b0e03021d"), NULL), hash: "sha1" },
      ],
      ["RSA with SHA-512", { ...rsa2048, algorithm: rsaWith("0d"), hash: "sha512" }],
      ["RSA of 1024 bits", { ...rsa2048, keys: rsa(1024) }],
      ["PSS", { ...rsa2048, algorithm: pss("1", "20"), isPss: true }],
      ["PSS with SHA-384", { ...rsa2048, algorithm: pss("2", "30"), isPss: true, hash: "sha384" }],
      ["Ed25519", ed25519],
    ] as const
  ).map(([name, parts]) => [name, asked(requestOf(parts)), ""] as const),
  ["with headers", asked(requestOf(p256), undefined, "From: jane\n\n"), ""],
  ...(
    [
      ["spoilt ECDSA", spoilt(requestOf(p256)), "x509: ECDSA verification failure"],
      ["spoilt RSA", spoilt(requestOf(rsa2048)), "crypto/rsa: verification error"],
      ["spoilt Ed25519", spoilt(requestOf(ed25519)), "x509: Ed25519 verification failure"],
      [
        "signed by another",
        requestOf({ ...p256, keyInfo: publicKey({ ...p256, keys: ecdsa("P-256") }) }),
        "x509: ECDSA verification failure",
      ],
      [
        "signed as RSA would",
        requestOf({ ...p256, algorithm: rsaWith("0b") }),
        "x509: signature algorithm specifies an RSA public key, but have public key of type *ecdsa.PublicKey",
      ],
      [
        "signed as ECDSA would",
        requestOf({ ...rsa2048, algorithm: SHA256_ECDSA }),
        "x509: signature algorithm specifies an ECDSA public key, but have public key of type *rsa.PublicKey",
      ],
      [
        "signed as Ed25519 would",
        requestOf({ ...rsa2048, algorithm: ed25519.algorithm }),
        "x509: signature algorithm specifies an Ed25519 public key, but have public key of type *rsa.PublicKey",
      ],
      [
        "Ed25519, signed as RSA would",
        requestOf({ ...ed25519, algorithm: rsaWith("0b") }),
        "x509: signature algorithm specifies an RSA public key, but have public key of type ed25519.PublicKey",
      ],
      [
        "MD5",
        requestOf({ ...rsa2048, algorithm: rsaWith("04"), hash: "md5" }),
        "x509: cannot verify signature: insecure algorithm MD5-RSA",
      ],
      [
        "RSA of 512 bits",
        requestOf({ ...rsa2048, keys: rsa(512) }),
        "crypto/rsa: 512-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)",
      ],
      ["secp256k1", requestOf({ ...p256, keys: ecdsa("secp256k1") }), "x509: unsupported elliptic curve"],
      [
        "Ed448",
        requestOf({ keys: generateKeyPairSync("ed448"), algorithm: sequence(id("2b6571")), hash: null }),
        "x509: cannot verify signature: algorithm unimplemented",
      ],
      [
        "PSS with a short salt",
        requestOf({ ...rsa2048, algorithm: pss("1", "10"), isPss: true }),
        "x509: cannot verify signature: algorithm unimplemented",
      ],
      [
        "PSS with another mask",
        requestOf({ ...rsa2048, algorithm: pss("1", "20", "2"), isPss: true }),
        "x509: cannot verify signature: algorithm unimplemented",
      ],
      [
        "Ed25519 with parameters",
        requestOf({ ...ed25519, algorithm: sequence(id("2b6570"), NULL) }),
        "x509: cannot verify signature: algorithm unimplemented",
      ],
      [
        "RSA without NULL",
        requestOf({ ...rsa2048, keyInfo: keyWith(sequence(id("2a864886f70d010101")), hex("3003020103")) }),
        "x509: RSA key missing NULL parameters",
      ],
      [
        "no curve",
        requestOf({ ...p256, keyInfo: keyWith(sequence(id("2a8648ce3d0201"), NULL), hex("04")) }),
        "x509: invalid ECDSA parameters",
      ],
      [
        "no point of its curve",
        requestOf({
          ...p256,
          keyInfo: keyWith(
            sequence(id("2a8648ce3d0201"), id("2a8648ce3d030107")),
            Buffer.concat([hex("04"), Buffer.alloc(64, 7)]),
          ),
        }),
        "P256 point not on curve",
      ],
      [
        "a short point",
        requestOf({
          ...p256,
          keyInfo: keyWith(sequence(id("2a8648ce3d0201"), id("2a8648ce3d030107")), hex("0401")),
        }),
        "invalid P256 point encoding",
      ],
      [
        "a compressed point",
        requestOf({
          ...p256,
          keyInfo: keyWith(
            sequence(id("2a8648ce3d0201"), id("2a8648ce3d030107")),
            Buffer.concat([hex("02"), publicKey(p256).subarray(-64, -32)]),
          ),
        }),
        "ecdsa: invalid uncompressed public key",
      ],
      [
        "a short key",
        requestOf({ ...ed25519, keyInfo: keyWith(sequence(id("2b6570")), hex("0102")) }),
        "x509: wrong Ed25519 public key size",
      ],
      [
        "parameters of Ed25519",
        requestOf({ ...ed25519, keyInfo: keyWith(sequence(id("2b6570"), NULL), Buffer.alloc(32)) }),
        "x509: Ed25519 key encoded with illegal parameters",
      ],
      [
        "no RSA key",
        requestOf({ ...rsa2048, keyInfo: keyWith(sequence(id("2a864886f70d010101"), NULL), hex("0500")) }),
        "x509: invalid RSA public key",
      ],
    ] as const
  ).map(([name, request, why]) => [name, asked(request), why] as const),
  ["a certificate", asked(requestOf(p256), "CERTIFICATE"), "PEM block type must be CERTIFICATE REQUEST"],
  [
    "a new request",
    asked(requestOf(p256), "NEW CERTIFICATE REQUEST"),
    "PEM block type must be CERTIFICATE REQUEST",
  ],
  ["nothing", "", "PEM block type must be CERTIFICATE REQUEST"],
  ["no PEM", Buffer.from("jane").toString("base64"), "PEM block type must be CERTIFICATE REQUEST"],
  ["with more behind it", asked(Buffer.concat([requestOf(p256), NULL])), "asn1: syntax error: trailing data"],
  ["half of one", asked(requestOf(p256).subarray(0, 60)), "asn1: syntax error: data truncated"],
];

/** For the groups of administrators. */
export const MASTERS_REQUEST = asked(requestOf({ ...p256, organization: "system:masters" }));
