// Who a caller is: bearer tokens of the lab itself, of its nodes, and of service accounts (JSON Web Tokens, RFC 7519,
// ES256).
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import { ACCOUNT_TOKEN_SECONDS } from "../kube/account-volume.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { User } from "./reviews.ts";

const ISSUER = "https://kubernetes.default.svc.cluster.local";
export const SECONDS_LEAST = 600;
export const SECONDS_MOST = 2 ** 32;
const SECONDS_DEFAULT = 3600;
/** What an API server makes of those that kubelet asks for with the volume that every pod has. */
const SECONDS_EXTENDED = 365 * 24 * 3600;
export const ADMIN: User = {
  username: "kubernetes-admin",
  groups: ["system:masters", "system:authenticated"],
};

/** Of a node: its name and a MAC of it. No token of a service account has a slash (RFC 6750 §2.1 has it for any). */
const NODE_TOKEN = /^node\/([a-z0-9.-]+)\/([\w-]{43})$/;
const NODE_GROUPS = ["system:nodes", "system:authenticated"];

/** Before the name of what is known of a caller. */
const EXTRA = "authentication.kubernetes.io/";

interface Claims {
  readonly aud?: readonly string[];
  readonly exp?: number;
  readonly iss?: string;
  readonly jti?: string;
  readonly sub?: string;
  readonly "kubernetes.io"?: TokenBinding & { readonly serviceaccount?: Bound };
}

interface Bound {
  readonly name?: string;
  readonly uid?: string;
}

/** What a token ends with. Of a pod the node is told beside it. */
export interface TokenBinding {
  readonly pod?: Bound;
  readonly secret?: Bound;
  readonly node?: Bound;
}

export interface TokenSpec {
  readonly audiences?: readonly string[];
  readonly expirationSeconds?: number;
  readonly boundObjectRef?: {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly name?: string;
    readonly uid?: string;
  };
}

type Lasting = "ServiceAccount" | "Pod" | "Secret" | "Node";

export class Tokens {
  readonly #key: KeyObject;
  readonly #public: KeyObject;
  readonly #admin: Buffer;
  readonly #nowMs: () => number;
  readonly #keyPem: string;

  /** `keyPem`: P-256, PKCS #8; `admin`: the token that its owner may do everything with. */
  constructor(keyPem: string, admin: string, nowMs: () => number = Date.now) {
    this.#keyPem = keyPem;
    this.#key = createPrivateKey(keyPem);
    this.#public = createPublicKey(this.#key);
    this.#admin = Buffer.from(admin);
    this.#nowMs = nowMs;
  }

  /**
   * Undefined: the token is nobody's, or for somebody else than the API server, its time is over, or its service account
   * is gone, or what it was bound to.
   * `uidOf`: of what is there by NAMESPACE/NAME, a Node by its name.
   */
  userOf(token: string, uidOf: (kind: Lasting, key: string) => string | undefined): User | undefined {
    const bytes = Buffer.from(token);
    if (bytes.length === this.#admin.length && timingSafeEqual(bytes, this.#admin)) return ADMIN;
    const node = NODE_TOKEN.exec(token)?.[1];
    if (node !== undefined) return this.#nodeOf(node, bytes);
    const { aud = [], exp = 0, iss, jti, sub = "", "kubernetes.io": bound } = this.#claimsOf(token) ?? {};
    // Whoever is given one for himself could call the API in the pod's name.
    if (!aud.includes(ISSUER)) return undefined;
    const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(sub) ?? [];
    if (name === undefined || iss !== ISSUER || exp * 1000 <= this.#nowMs()) return undefined;
    const { serviceaccount: account, pod, secret, node: onNode } = bound ?? {};
    if (account?.uid !== undefined && account.uid !== uidOf("ServiceAccount", `${namespace}/${name}`))
      return undefined;
    const isThere = (kind: Lasting, key: string, { uid }: Bound): boolean => {
      const now = uidOf(kind, key);
      return now !== undefined && (uid === undefined || uid === now);
    };
    if (pod !== undefined && !isThere("Pod", `${namespace}/${pod.name}`, pod)) return undefined;
    if (secret !== undefined && !isThere("Secret", `${namespace}/${secret.name}`, secret)) return undefined;
    // A pod's token ends with the pod.
    if (onNode !== undefined && pod === undefined && !isThere("Node", onNode.name ?? "", onNode))
      return undefined;
    const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
    const extra = extraOf(jti, pod, onNode);
    return { username: sub, ...(account?.uid !== undefined && { uid: account.uid }), groups, extra };
  }

  /** Says that a node's agent calls. It is as good as the lab's key, and lasts as long. */
  ofNode(name: string): string {
    return `node/${name}/${createHmac("sha256", this.#keyPem).update(`node ${name}`).digest("base64url")}`;
  }

  #nodeOf(name: string, token: Buffer): User | undefined {
    const wanted = Buffer.from(this.ofNode(name));
    if (wanted.length !== token.length || !timingSafeEqual(wanted, token)) return undefined;
    return { username: `system:node:${name}`, groups: NODE_GROUPS };
  }

  /** Of a service account; `expirationSeconds` is held within what an API server allows. `binding` was checked. */
  issue(
    { metadata }: KubeObject,
    spec: TokenSpec,
    binding: TokenBinding = {},
  ): { token: string; expirationTimestamp: string; spec: TokenSpec } {
    const { name, namespace = "default", uid } = metadata;
    const { expirationSeconds = SECONDS_DEFAULT, audiences = [ISSUER] } = spec;
    const seconds = Math.min(SECONDS_MOST, Math.max(SECONDS_LEAST, expirationSeconds));
    const now = Math.floor(this.#nowMs() / 1000);
    const isOurs = audiences.every((each) => each === ISSUER);
    const isExtended = binding.pod !== undefined && seconds === ACCOUNT_TOKEN_SECONDS && isOurs;
    const exp = now + (isExtended ? SECONDS_EXTENDED : seconds);
    const claims = {
      ...{ aud: audiences, exp, iat: now, nbf: now, iss: ISSUER, jti: randomUUID() },
      "kubernetes.io": {
        ...{ namespace, serviceaccount: { name, uid }, ...binding },
        ...(isExtended ? { warnafter: now + seconds } : {}),
      },
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    const text = `${encoded({ alg: "ES256", typ: "JWT" })}.${encoded(claims)}`;
    const signature = sign("sha256", Buffer.from(text), { key: this.#key, dsaEncoding: "ieee-p1363" });
    const expirationTimestamp = new Date((now + seconds) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
    const token = `${text}.${signature.toString("base64url")}`;
    return { token, expirationTimestamp, spec: { ...spec, audiences, expirationSeconds: seconds } };
  }

  #claimsOf(token: string): Claims | undefined {
    const [head, body, signature, ...rest] = token.split(".");
    if (signature === undefined || rest.length > 0) return undefined;
    try {
      const { alg } = JSON.parse(Buffer.from(head, "base64url").toString("utf8")) as { alg?: string };
      if (alg !== "ES256") return undefined;
      const given = Buffer.from(signature, "base64url");
      const key = { key: this.#public, dsaEncoding: "ieee-p1363" } as const;
      if (!verify("sha256", Buffer.from(`${head}.${body}`), key, given)) return undefined;
      return JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as Claims;
    } catch {
      return undefined;
    }
  }
}

/** By the names that API servers have for it. */
function extraOf(jti: string | undefined, pod: Bound = {}, node: Bound = {}): Record<string, string[]> {
  const known = {
    "credential-id": jti === undefined ? undefined : `JTI=${jti}`,
    ...{ "node-name": node.name, "node-uid": node.uid, "pod-name": pod.name, "pod-uid": pod.uid },
  };
  const entries = Object.entries(known).flatMap(([name, value]) =>
    value === undefined ? [] : [[`${EXTRA}${name}`, [value]]],
  );
  return Object.fromEntries(entries);
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
