// Secrets of type kubernetes.io/tls: whether one can be shown, for which names, and what is not as it should be with one
// that is shown all the same. Without a clock: whoever has one says what time it is, and dates are then told of.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { type KubeObject, keyOf, type Secret } from "../kube/objects.ts";

export interface Certificate {
  /** "namespace/name" of the Secret. */
  readonly secret: string;
  /** DNS names that it is for; a star stands for one label. */
  readonly names: readonly string[];
  /** Why it cannot be shown; "": it can. */
  readonly problem: string;
  readonly isMissing: boolean;
  /** What clients may stumble over, a sentence each without an end: it is shown all the same. */
  readonly warnings: readonly string[];
}

/** What a Secret holds, worked out once: Secrets are never changed in place. */
interface Read extends Certificate {
  /** In the order in which they are shown. */
  readonly chain: readonly X509Certificate[];
}

const known = new WeakMap<Secret, Read>();
/** As ingress-nginx: so long before its end it is told of. */
const SOON_MS = 10 * 86_400_000;
const DAY_MS = 86_400_000;

export class Certificates {
  readonly #secrets = new Map<string, Secret>();
  readonly #found = new Map<string, Certificate>();
  readonly #nowMs: number | undefined;

  /** `nowMs`: since 1970; undefined: nobody says, and no date is looked at. */
  constructor(objects: readonly KubeObject[], nowMs?: number) {
    this.#nowMs = nowMs;
    for (const object of objects)
      if (object.kind === "Secret") this.#secrets.set(keyOf(object), object as Secret);
  }

  /** The same answer for the same Secret each time. */
  find(namespace: string, name: string): Certificate {
    const key = `${namespace}/${name}`;
    let found = this.#found.get(key);
    if (found === undefined) this.#found.set(key, (found = this.#find(key)));
    return found;
  }

  #find(key: string): Certificate {
    const secret = this.#secrets.get(key);
    if (secret === undefined) return { ...bad(key, `there is no Secret ${key}`), isMissing: true };
    let read = known.get(secret);
    if (read === undefined) known.set(secret, (read = readSecret(key, secret)));
    const { chain, ...certificate } = read;
    if (this.#nowMs === undefined || read.problem !== "") return certificate;
    return { ...certificate, warnings: [...read.warnings, ...dateWarnings(key, chain, this.#nowMs)] };
  }
}

function bad(secret: string, problem: string, names: readonly string[] = []): Read {
  return { secret, names, problem, isMissing: false, warnings: [], chain: [] };
}

function readSecret(secret: string, { data = {} }: Secret): Read {
  const [pem, keyPem] = [data["tls.crt"], data["tls.key"]].map((text) =>
    text === undefined ? undefined : Buffer.from(text, "base64").toString("latin1"),
  );
  if (pem === undefined || keyPem === undefined)
    return bad(secret, `Secret ${secret} has no tls.crt and tls.key`);
  const chain = chainOf(pem);
  if (typeof chain === "string") return bad(secret, `tls.crt of Secret ${secret} ${chain}`);
  const names = namesOf(chain[0]);
  let key: KeyObject;
  try {
    key = createPrivateKey(keyPem);
  } catch {
    const isEncrypted = /ENCRYPTED/.test(keyPem);
    const what = isEncrypted ? "is encrypted: nobody here has its password" : "is no key";
    return bad(secret, `tls.key of Secret ${secret} ${what}`, names);
  }
  if (!chain[0].checkPrivateKey(key)) {
    const place = chain.findIndex((each) => each.checkPrivateKey(key)) + 1;
    const where = place === 0 ? "" : `, but of number ${place} in tls.crt, which has to come first`;
    return bad(secret, `tls.key of Secret ${secret} is not the key of its certificate${where}`, names);
  }
  try {
    createSecureContext({ cert: pem, key: keyPem });
  } catch (error) {
    return bad(secret, `the certificate of Secret ${secret} cannot be used: ${opensslText(error)}`, names);
  }
  return { ...bad(secret, "", names), chain, warnings: orderWarnings(secret, chain) };
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A text: what is wrong with it. */
function chainOf(pem: string): X509Certificate[] | string {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0) return "is no certificate";
  const chain: X509Certificate[] = [];
  for (const [i, block] of blocks.entries()) {
    try {
      chain.push(new X509Certificate(block));
    } catch {
      return i === 0 ? "is no certificate" : `holds something that is no certificate, as number ${i + 1}`;
    }
  }
  return chain;
}

/** OpenSSL's own words, without its numbers. */
function opensslText(error: unknown): string {
  const { message } = error as Error;
  return /^error:[0-9A-F]+:[^:]*:[^:]*:(.+)$/.exec(message)?.[1] ?? message;
}

function orderWarnings(secret: string, chain: readonly X509Certificate[]): string[] {
  for (let i = 1; i < chain.length; i++) {
    if (isIssuer(chain[i - 1], chain[i])) continue;
    return [
      `number ${i + 1} in tls.crt of Secret ${secret} has not signed number ${i}: clients may not find their way`,
    ];
  }
  return [];
}

function isIssuer(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function dateWarnings(secret: string, chain: readonly X509Certificate[], nowMs: number): string[] {
  return chain.flatMap((each, i) => {
    const what =
      i === 0 ? `the certificate of Secret ${secret}` : `number ${i + 1} in tls.crt of Secret ${secret}`;
    const [from, to] = [each.validFrom, each.validTo].map((text) => Date.parse(text));
    if (nowMs > to) return [`${what} has expired: ${dateText(to)}`];
    if (nowMs < from) return [`${what} is not valid before ${dateText(from)}`];
    const days = Math.floor((to - nowMs) / DAY_MS);
    return to - nowMs < SOON_MS ? [`${what} ends in ${days} days: ${dateText(to)}`] : [];
  });
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().replace(".000", "");
}

function namesOf({ subjectAltName = "", subject }: X509Certificate): string[] {
  const alternative = [...subjectAltName.matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) => name.toLowerCase());
  if (alternative.length > 0) return alternative;
  const common = /^CN=(.+)$/m.exec(subject ?? "")?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}

/** Is a certificate for these names one for this host? A star in both is the same star. */
export function covers(names: readonly string[], host: string): boolean {
  const dot = host.indexOf(".");
  return names.some(
    (name) => name === host || (name.startsWith("*.") && dot > 0 && host.slice(dot) === name.slice(1)),
  );
}
