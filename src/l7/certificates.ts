// Secrets of type kubernetes.io/tls: whether one can be shown, and for which names. Without a clock: whether it has
// expired is asked by who shows it.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { type KubeObject, keyOf, type Secret } from "../kube/objects.ts";

export interface Certificate {
  /** "namespace/name" of the Secret. */
  readonly secret: string;
  /** DNS names that it is for; a star stands for one label. */
  readonly names: readonly string[];
  /** Why it cannot be shown; "": it can. */
  readonly problem: string;
  readonly isMissing: boolean;
}

export class Certificates {
  readonly #secrets = new Map<string, Secret>();
  readonly #known = new Map<string, Certificate>();

  constructor(objects: readonly KubeObject[]) {
    for (const object of objects)
      if (object.kind === "Secret") this.#secrets.set(keyOf(object), object as Secret);
  }

  find(namespace: string, name: string): Certificate {
    const key = `${namespace}/${name}`;
    let found = this.#known.get(key);
    if (found === undefined) {
      found = read(key, this.#secrets.get(key));
      this.#known.set(key, found);
    }
    return found;
  }
}

function read(secret: string, object: Secret | undefined): Certificate {
  const bad = (problem: string, names: readonly string[] = []): Certificate => {
    return { secret, names, problem, isMissing: object === undefined };
  };
  if (object === undefined) return bad(`there is no Secret ${secret}`);
  const [pem, key] = ["tls.crt", "tls.key"].map((field) => object.data?.[field]);
  if (pem === undefined || key === undefined) return bad(`Secret ${secret} has no tls.crt and tls.key`);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(Buffer.from(pem, "base64"));
  } catch {
    return bad(`tls.crt of Secret ${secret} is no certificate`);
  }
  const names = namesOf(certificate);
  try {
    if (certificate.checkPrivateKey(createPrivateKey(Buffer.from(key, "base64")))) return bad("", names);
  } catch {
    return bad(`tls.key of Secret ${secret} is no key`, names);
  }
  return bad(`tls.key of Secret ${secret} is not the key of its certificate`, names);
}

function namesOf({ subjectAltName = "", subject }: X509Certificate): string[] {
  const alternative = [...subjectAltName.matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) => name.toLowerCase());
  if (alternative.length > 0) return alternative;
  const common = /^CN=(.+)$/m.exec(subject ?? "")?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}

/** Is a certificate for these names one for this host? */
export function covers(names: readonly string[], host: string): boolean {
  const dot = host.indexOf(".");
  return names.some(
    (name) => name === host || (name.startsWith("*.") && dot > 0 && host.slice(dot) === name.slice(1)),
  );
}
