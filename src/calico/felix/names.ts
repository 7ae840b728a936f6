// Names that Calico gives to chains, sets and rules. They are hashes of what a thing is, so that a node that
// starts again finds its own; people search for them, so they are the same to the letter.
import { createHash } from "node:crypto";

const CHAIN_NAME_MAX = 28; // characters that iptables allows
const SET_NAME_MAX = 31;
const RULE_HASH = 16; // characters of a rule's hash
const SHORTENED = "_";

export interface PolicyName {
  readonly kind: "NetworkPolicy" | "ClusterNetworkPolicy";
  readonly namespace: string;
  readonly name: string;
}

/** cali-fw-cali…: a name that is too long for iptables ends in its hash instead. */
export function chainName(prefix: string, id: string): string {
  const isShort = prefix.length + id.length < CHAIN_NAME_MAX;
  const fits = isShort || (prefix.length + id.length === CHAIN_NAME_MAX && !id.startsWith(SHORTENED));
  if (fits) return prefix + id;
  const hash = createHash("sha256").update(id).digest("base64url");
  return `${prefix}${SHORTENED}${hash.slice(0, CHAIN_NAME_MAX - prefix.length - SHORTENED.length)}`;
}

/** A NetworkPolicy as Calico up to 3.31 calls it; the other kind as 3.32 does, the first to know it. */
export function policyId({ kind, namespace, name }: PolicyName): string {
  return kind === "NetworkPolicy" ? `default/${namespace}/knp.default.${name}` : `kcnp/${name}`;
}

/** As a comment on the first rule of a policy's chain says it. */
export function policyText({ kind, namespace, name }: PolicyName): string {
  return kind === "NetworkPolicy"
    ? `Policy ${namespace}/knp.default.${name}`
    : `KubernetesClusterNetworkPolicy ${name}`;
}

export interface PolicyGroup {
  readonly direction: "ingress" | "egress";
  readonly tier: string;
  /** What its policies select, in Calico's words. */
  readonly selector: string;
  readonly policies: readonly PolicyName[];
}

/** cali-gi-…: the chain of policies of one tier that select the same pods. */
export function groupChain({ direction, tier, selector, policies }: PolicyGroup): string {
  const isNetworkPolicy = policies[0].kind === "NetworkPolicy";
  const words = [
    ...(isNetworkPolicy ? [tier] : []),
    selector,
    direction === "ingress" ? "inbound" : "outbound",
    String(policies.length),
    ...policies.map(({ namespace, name }) =>
      isNetworkPolicy
        ? `${namespace}/knp.default.${name}`
        : `{Name: ${name}, Namespace: , Kind: KubernetesClusterNetworkPolicy}`,
    ),
  ];
  const hash = createHash("sha3-224")
    .update(words.map((word) => `${word}\n`).join(""))
    .digest("base64url");
  const prefix = direction === "ingress" ? "cali-gi-" : "cali-go-";
  return prefix + hash.slice(0, CHAIN_NAME_MAX - prefix.length);
}

/** "s:…" of a selector's text, "n:…" of a named port's. */
export function setId(kind: "s" | "n", content: string): string {
  return `${kind}:${createHash("sha224").update(`${kind}:${content}`).digest("base64url")}`;
}

/** cali40s:…; cali60n:… */
export function setName(family: 4 | 6, id: string): string {
  return `cali${family}0${id}`.slice(0, SET_NAME_MAX);
}

/**
 * One a rule, which tells a rule's text, its place and all before it: each is a hash over the one before and the rule
 * as Felix writes it, the first one's over the chain's name.
 */
export function ruleHashes(chain: string, rules: readonly string[]): string[] {
  let hash = createHash("sha224").update(chain).digest();
  return rules.map((rule) => {
    hash = createHash("sha224").update(hash).update(rule).digest();
    return hash.toString("base64url").slice(0, RULE_HASH);
  });
}
