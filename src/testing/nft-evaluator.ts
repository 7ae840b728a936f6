// What nftables makes of a frame, for tests: rules and sets are read from the netlink messages that a TakenTable sends,
// and evaluated here as the kernel does (net/netfilter/nft_payload.c, nft_cmp.c, nft_bitwise.c, nft_lookup.c), for
// frames that come in at a device.
import { attributesOf, messagesOf, textOf } from "../device/netlink/message.ts";

const VERB = { DEL_TABLE: 2, NEW_CHAIN: 3, NEW_RULE: 6, NEW_ELEMENT: 12, DEL_ELEMENT: 14 } as const;
const ETHERNET = 14;

type Expression = { readonly name: string; readonly of: ReadonlyMap<number, Uint8Array> };

export class NftEvaluator {
  #chains = new Map<string, Expression[][]>();
  #sets = new Map<string, { value: bigint; isEnd: boolean }[]>();

  /** One transaction. */
  change(batch: Uint8Array): void {
    for (const { type, body } of messagesOf(batch)) {
      if (type >> 8 !== 10) continue;
      const of = attributesOf(body, 4);
      const verb = type & 255;
      if (verb === VERB.DEL_TABLE) this.#chains = new Map();
      else if (verb === VERB.NEW_CHAIN) this.#chains.set(textOf(of.get(3)), []);
      else if (verb === VERB.DEL_ELEMENT) this.#sets.delete(textOf(of.get(2)));
      else if (verb === VERB.NEW_RULE)
        this.#chains.get(textOf(of.get(2)))?.push(list(of.get(4)).map(expression));
      else if (verb === VERB.NEW_ELEMENT) this.#add(textOf(of.get(2)), list(of.get(3)));
    }
  }

  #add(name: string, elements: readonly Uint8Array[]): void {
    const set = this.#sets.get(name) ?? [];
    for (const element of elements) {
      const of = attributesOf(element);
      const key = attributesOf(of.get(1) ?? new Uint8Array()).get(1);
      set.push({ value: big(key), isEnd: of.has(3) });
    }
    this.#sets.set(name, set);
  }

  /** False: the kernel does not get the frame. */
  passes(frame: Uint8Array, packetType = 0): boolean {
    let chain = "ingress";
    for (;;) {
      const verdict = this.#chain(chain, frame, packetType);
      if (typeof verdict !== "string") return verdict;
      chain = verdict;
    }
  }

  #chain(name: string, frame: Uint8Array, packetType: number): boolean | string {
    for (const rule of this.#chains.get(name) ?? []) {
      let register = new Uint8Array();
      for (const { name: kind, of } of rule) {
        if (kind === "immediate") return verdictOf(of);
        if (kind === "meta") register = Uint8Array.of(packetType);
        else if (kind === "payload") {
          const loaded = payload(frame, number(of.get(2)), number(of.get(3)), number(of.get(4)));
          if (loaded === undefined) break;
          register = loaded;
        } else if (kind === "bitwise") {
          const mask = attributesOf(of.get(4) ?? new Uint8Array()).get(1) ?? [];
          register = register.map((byte, i) => byte & mask[i]);
        } else if (kind === "lookup") {
          if (!this.#has(textOf(of.get(1)), big(register))) break;
        } else if (!compares(of, register)) break;
      }
    }
    return true;
  }

  #has(name: string, value: bigint): boolean {
    const below = (this.#sets.get(name) ?? []).filter((element) => element.value <= value);
    below.sort((a, b) => (a.value < b.value ? -1 : 1));
    return below.at(-1)?.isEnd === false;
  }
}

function list(bytes: Uint8Array | undefined): Uint8Array[] {
  const elements: Uint8Array[] = [];
  const view = new DataView((bytes ?? new Uint8Array()).slice().buffer);
  for (let at = 0; at + 4 <= view.byteLength; at += (view.getUint16(at, true) + 3) & ~3)
    elements.push(new Uint8Array(view.buffer, at + 4, view.getUint16(at, true) - 4));
  return elements;
}

function expression(bytes: Uint8Array): Expression {
  const of = attributesOf(bytes);
  return { name: textOf(of.get(1)), of: attributesOf(of.get(2) ?? new Uint8Array()) };
}

function verdictOf(of: ReadonlyMap<number, Uint8Array>): boolean | string {
  const data = attributesOf(of.get(2) ?? new Uint8Array());
  const verdict = attributesOf(data.get(2) ?? new Uint8Array());
  const code = number(verdict.get(1)) | 0;
  return code === -4 ? textOf(verdict.get(2)) : code === 1;
}

/** As in the kernel: a transport header is that of IPv4 here, and none where a later fragment is looked at. */
function payload(
  frame: Uint8Array,
  base: number,
  offset: number,
  bytes: number,
): Uint8Array<ArrayBuffer> | undefined {
  let from = base === 0 ? 0 : ETHERNET;
  if (base === 2) {
    if (frame[12] !== 8 || (((frame[20] << 8) | frame[21]) & 0x1fff) !== 0) return undefined;
    from += (frame[ETHERNET] & 15) * 4;
  }
  const at = from + offset;
  return at + bytes > frame.length ? undefined : frame.slice(at, at + bytes);
}

function compares(of: ReadonlyMap<number, Uint8Array>, register: Uint8Array): boolean {
  const operator = number(of.get(2));
  const [left, right] = [big(register), big(attributesOf(of.get(3) ?? new Uint8Array()).get(1))];
  return [left === right, left !== right, left < right, left <= right, left > right, left >= right][operator];
}

function number(bytes: Uint8Array | undefined): number {
  return Number(big(bytes));
}

function big(bytes: Uint8Array = new Uint8Array()): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
