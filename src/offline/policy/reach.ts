// May these two connect? By the tables that a plane enforces, with what is asked often asked once: pods that no policy
// tells apart get one answer, so a thousand pods cost what their kinds cost.
import { formatIp, type IpFamily, type IpWords, sameIp } from "../../base/ip.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { EndVerdict } from "../../kubeproxy/words/explanation.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import { PolicyView } from "../policy-view.ts";
import type { End, Port } from "./ends.ts";
import type { Relation } from "./matrix.ts";

/** What is said of a cell. Answers that are the same are one object. */
export interface Answer {
  readonly allowed: boolean;
  /** Who decided, of both ends: "namespace/name", or the name of a ClusterNetworkPolicy. */
  readonly policies: readonly string[];
  readonly reason: string;
}

const NUMBERS: Readonly<Record<string, readonly [four: number, six: number]>> = {
  TCP: [6, 6],
  UDP: [17, 17],
  SCTP: [132, 132],
  ICMP: [1, 58],
};
const SELF: Answer = { allowed: true, policies: [], reason: "a pod may always connect to its own address" };
const OWN_NODE: Answer = { allowed: true, policies: [], reason: "a node may always connect to its own pods" };
const NO_FAMILY: Answer = { allowed: false, policies: [], reason: "they have no addresses of one family" };

export class Reach implements Relation<Answer> {
  readonly #view: PolicyView;
  readonly #kinds = new Map<End, string>();
  readonly #known = new Map<string, Answer>();
  readonly #same = new Map<string, Answer>();

  /** `hasTunnel`: nodes have addresses at their ends of it, which nobody else has. */
  constructor(objects: readonly KubeObject[], hasTunnel = true) {
    const graph = new ObjectGraph();
    for (const object of objects) graph.onEvent({ type: "ADDED", object });
    this.#view = new PolicyView(graph, hasTunnel);
  }

  /** The same text for ends that all others are in the same relation to. */
  kindOf(end: End): string {
    let kind = this.#kinds.get(end);
    if (kind === undefined) {
      const standings = end.addresses.map((address) => `${address.family} ${this.#view.standingOf(address)}`);
      kind = `${end.pod === undefined ? end.name : ""}|${standings.sort().join("|")}`;
      this.#kinds.set(end, kind);
    }
    return kind;
  }

  cell(from: End, to: End, port: Port): Answer {
    return isSame(from, to) ? SELF : this.between(from, to, port);
  }

  /** As `cell`, but an end and itself are two of its kind. */
  between(from: End, to: End, { port, protocol }: Port): Answer {
    const isOfNode = to.pod !== undefined && from.pod === undefined && this.#isNodeOf(from, to);
    const key = `${this.kindOf(from)}>${this.kindOf(to)} ${port}/${protocol} ${isOfNode}`;
    let answer = this.#known.get(key);
    if (answer === undefined) {
      answer = isOfNode ? this.#ofNode(from, to) : this.#ask(from, to, port, protocol);
      const text = JSON.stringify(answer);
      answer = this.#same.get(text) ?? answer;
      this.#same.set(text, answer);
      this.#known.set(key, answer);
    }
    return answer;
  }

  #ofNode(from: End, to: End): Answer {
    return from.families.some((family) => to.families.includes(family)) ? OWN_NODE : NO_FAMILY;
  }

  #isNodeOf(from: End, { pod }: End): boolean {
    return pod !== undefined && from.addresses.some((address) => this.#view.isNodeOf(pod, address));
  }

  /** In each family that both have: a connection that passes in one alone is not counted on. */
  #ask(from: End, to: End, port: number, protocol: string): Answer {
    const families = from.families.filter((family) => to.families.includes(family));
    return all(
      families.map((family) => [`IPv${family}`, this.#inFamily(from, to, family, port, protocol)] as const),
    );
  }

  /** A node that may send from one of several addresses is only counted on where each is let in. */
  #inFamily(from: End, to: End, family: IpFamily, port: number, protocol: string): Answer {
    const isOther = from.sources !== undefined && to.pod !== undefined && !this.#isNodeOf(from, to);
    const own = from.addresses.filter((address) => address.family === family);
    const sources = isOther ? from.sources.filter((address) => address.family === family) : own.slice(0, 1);
    const destination = to.addresses.find((address) => address.family === family);
    if (destination === undefined) return NO_FAMILY;
    return all(
      sources.map((source) => [
        `from ${formatIp(source)}`,
        this.#between(source, destination, family, port, protocol),
      ]),
    );
  }

  #between(source: IpWords, destination: IpWords, family: IpFamily, port: number, protocol: string): Answer {
    const proto = NUMBERS[protocol][family === 4 ? 0 : 1];
    const ends = this.#view.decide({
      ...{ from: source, to: destination, proto, port, family },
      ...{ isDirect: true, areTwo: true },
    });
    return {
      allowed: ends.every(({ action }) => action !== "deny"),
      policies: [...new Set(ends.flatMap((end) => end.policies))].sort(),
      reason: ends.length === 0 ? "no policy is about it" : ends.map(verdictText).join("; "),
    };
  }
}

/** Allowed where each of them is; reasons that differ are told each with what it is about. */
function all(answers: readonly (readonly [about: string, answer: Answer])[]): Answer {
  if (answers.length === 0) return NO_FAMILY;
  const [[, first]] = answers;
  const isOne = answers.every(([, { reason }]) => reason === first.reason);
  return {
    allowed: answers.every(([, { allowed }]) => allowed),
    policies: [...new Set(answers.flatMap(([, { policies }]) => policies))].sort(),
    reason: isOne ? first.reason : answers.map(([about, { reason }]) => `${about}: ${reason}`).join("; "),
  };
}

/** An address may be a pod's; one that stands for many is none. */
function isSame(from: End, to: End): boolean {
  if (from.isRange === true || to.isRange === true) return false;
  if (from === to) return true;
  if (from.pod !== undefined && to.pod !== undefined) return from.pod === to.pod;
  return from.addresses.some((address) => to.addresses.some((other) => sameIp(address, other)));
}

/** A rule says its direction itself. */
function verdictText({ direction, action, rule }: EndVerdict): string {
  const trial = action === "audit" ? "would be denied, on trial: " : "";
  return /^\S+ (egress|ingress)\[/.test(rule) ? `${trial}${rule}` : `${direction}: ${trial}${rule}`;
}
