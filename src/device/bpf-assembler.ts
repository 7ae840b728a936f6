// Classic BPF (linux/filter.h) by labels. A conditional jump reaches 255 instructions; where that is too few, it jumps
// over two that go anywhere.

export const Op = Object.freeze({
  LOAD_WORD: 0x20,
  LOAD_HALF: 0x28,
  LOAD_BYTE: 0x30,
  LOAD_WORD_AT_X: 0x40,
  LOAD_HALF_AT_X: 0x48,
  LOAD_BYTE_AT_X: 0x50,
  X_IS: 0x01,
  X_IS_IHL: 0xb1,
  AND: 0x54,
  GOTO: 0x05,
  EQUAL: 0x15,
  GREATER: 0x25,
  NOT_LESS: 0x35,
  ANY_BIT: 0x45,
  RETURN: 0x06,
} as const);

/** Where a jump goes on: a label, or the next instruction. */
export type Target = string | null;

type Item =
  | { readonly label: string }
  | { readonly op: number; readonly k: number }
  | { readonly op: number; readonly k: number; readonly yes: Target; readonly no: Target };

const NEAR = 255;

export class BpfAssembler {
  readonly #items: Item[] = [];
  #labels = 0;

  newLabel(): string {
    return `.${this.#labels++}`;
  }

  label(label: string): void {
    this.#items.push({ label });
  }

  add(op: number, k: number): void {
    this.#items.push({ op, k });
  }

  jump(op: number, k: number, yes: Target, no: Target): void {
    this.#items.push({ op, k, yes, no });
  }

  goto(label: string): void {
    this.jump(Op.GOTO, 0, label, label);
  }

  /** Two words an instruction: code, jt and jf in one, k in the next. */
  program(): Int32Array {
    const far = new Set<Item>();
    for (;;) {
      const places = this.#places(far);
      const tooFar = this.#items.filter((item) => !far.has(item) && !isNear(item, places));
      if (tooFar.length === 0) return this.#written(far, places);
      for (const item of tooFar) far.add(item);
    }
  }

  /** Of labels, and of items: where each begins. */
  #places(far: ReadonlySet<Item>): Map<Item | string, number> {
    const places = new Map<Item | string, number>();
    let at = 0;
    for (const item of this.#items) {
      places.set("label" in item ? item.label : item, at);
      if (!("label" in item)) at += far.has(item) ? 3 : 1;
    }
    return places;
  }

  #written(far: ReadonlySet<Item>, places: ReadonlyMap<Item | string, number>): Int32Array {
    const words: number[] = [];
    for (const item of this.#items) {
      if ("label" in item) continue;
      const { op, k } = item;
      const at = (places.get(item) ?? 0) + 1;
      if (!("yes" in item)) words.push(op, k | 0);
      else if (op === Op.GOTO) words.push(op, offset(places, item.yes, at));
      else if (!far.has(item)) {
        const [yes, no] = [offset(places, item.yes, at), offset(places, item.no, at)];
        words.push(op | (yes << 16) | (no << 24), k | 0);
      } else {
        words.push(op | (1 << 24), k | 0);
        words.push(Op.GOTO, item.yes === null ? 1 : offset(places, item.yes, at + 1));
        words.push(Op.GOTO, item.no === null ? 0 : offset(places, item.no, at + 2));
      }
    }
    return Int32Array.from(words);
  }
}

function offset(places: ReadonlyMap<Item | string, number>, target: Target, from: number): number {
  return target === null ? 0 : (places.get(target) ?? 0) - from;
}

function isNear(item: Item, places: ReadonlyMap<Item | string, number>): boolean {
  if (!("yes" in item) || item.op === Op.GOTO) return true;
  const at = (places.get(item) ?? 0) + 1;
  return offset(places, item.yes, at) <= NEAR && offset(places, item.no, at) <= NEAR;
}
