/**
 * The classic BPF machine, for the filters of `capture` and `trace`. A program was checked when it was
 * created (base/bpf-program.ts), so `run` cannot loop and cannot throw; a load past the end of the packet
 * rejects it, as the kernel's machine does. Words are i32; comparisons and division treat them as unsigned.
 */
import { ACCEPT_ALL, Alu, type BpfProgram, Op, Test } from "../../base/bpf-program.ts";

const {
  RET_K,
  RET_A,
  LD_IMM,
  LDX_IMM,
  LD_LEN,
  LDX_LEN,
  LD_MEM,
  LDX_MEM,
  ST,
  STX,
  TAX,
  TXA,
  LDX_MSH,
  LD_W_ABS,
  LD_H_ABS,
  LD_B_ABS,
  LD_W_IND,
  LD_H_IND,
  LD_B_IND,
  ALU_K,
  ALU_X,
  JA,
  JMP_K,
  JMP_X,
} = Op;
const { ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR } = Alu;
const { JEQ, JGT, JGE } = Test;

/**
 * Runs `p` on the frame at `off`. `len` bytes are there, the frame on the wire had `wireLen`. Returns how
 * many bytes of it the filter wants: 0 = not this one. `off + len` must lie inside `view`, else the answer is
 * 0.
 */
export function run(p: BpfProgram, view: DataView, off: number, len: number, wireLen: number): number {
  if (off < 0 || len < 0 || off + len > view.byteLength) return 0;
  const k = p.k;
  let a = 0;
  let x = 0;
  let at = 0;
  // biome-ignore format: one instruction a line
  for (let pc = 0; pc < k.length; pc++) {
    const n = k[pc];
    switch (p.op[pc]) {
      case RET_K: return n;
      case RET_A: return a < 0 ? ACCEPT_ALL : a;
      case LD_IMM: a = n; break;
      case LDX_IMM: x = n; break;
      case LD_LEN: a = wireLen; break;
      case LDX_LEN: x = wireLen; break;
      case LD_MEM: a = p.scratch[n]; break;
      case LDX_MEM: x = p.scratch[n]; break;
      case ST: p.scratch[n] = a; break;
      case STX: p.scratch[n] = x; break;
      case TAX: x = a; break;
      case TXA: a = x; break;
      case LDX_MSH:
        if (n >= len) return 0;
        x = (view.getUint8(off + n) & 0x0f) << 2;
        break;
      case LD_W_ABS:
        if (n > len - 4) return 0;
        a = view.getInt32(off + n);
        break;
      case LD_H_ABS:
        if (n > len - 2) return 0;
        a = view.getUint16(off + n);
        break;
      case LD_B_ABS:
        if (n >= len) return 0;
        a = view.getUint8(off + n);
        break;
      case LD_W_IND: case LD_H_IND: case LD_B_IND:
        // x is a u32: a negative one is past every packet. Each of n and x is below 2³¹, so the sum is exact.
        at = x + n;
        if (x < 0 || at > len - (p.op[pc] === LD_W_IND ? 4 : p.op[pc] === LD_H_IND ? 2 : 1)) return 0;
        a = loadAt(view, off + at, p.op[pc]);
        break;
      case ALU_K: a = arithmetic(p.sub[pc], a, n); break;
      case ALU_X:
        if (x === 0 && (p.sub[pc] === DIV || p.sub[pc] === MOD)) return 0;
        a = arithmetic(p.sub[pc], a, x);
        break;
      case JA: pc = p.jt[pc] - 1; break;
      case JMP_K: pc = (holds(p.sub[pc], a, n) ? p.jt[pc] : p.jf[pc]) - 1; break;
      case JMP_X: pc = (holds(p.sub[pc], a, x) ? p.jt[pc] : p.jf[pc]) - 1; break;
    }
  }
  return 0;
}

function loadAt(view: DataView, at: number, op: number): number {
  return op === LD_W_IND ? view.getInt32(at) : op === LD_H_IND ? view.getUint16(at) : view.getUint8(at);
}

/** Unsigned 32-bit arithmetic on i32 words. The divisor is not zero. */
function arithmetic(sub: number, a: number, b: number): number {
  // biome-ignore format: one operation a line
  switch (sub) {
    case ADD: return (a + b) | 0;
    case SUB: return (a - b) | 0;
    case MUL: return Math.imul(a, b);
    case DIV: return Math.floor(unsigned(a) / unsigned(b)) | 0;
    case OR: return a | b;
    case AND: return a & b;
    case LSH: return b < 0 || b > 31 ? 0 : a << b;
    case RSH: return b < 0 || b > 31 ? 0 : (a >>> b) | 0;
    case NEG: return -a | 0;
    case MOD: return (unsigned(a) % unsigned(b)) | 0;
    case XOR: return a ^ b;
  }
  return 0;
}

/** Rare (division only): a u32 as a double. */
function unsigned(word: number): number {
  return word < 0 ? word + 0x1_0000_0000 : word;
}

/** Unsigned comparison of i32 words. */
function holds(sub: number, a: number, b: number): boolean {
  // biome-ignore format: one test a line
  switch (sub) {
    case JEQ: return a === b;
    case JGT: return (a ^ (1 << 31)) > (b ^ (1 << 31));
    case JGE: return (a ^ (1 << 31)) >= (b ^ (1 << 31));
  }
  return (a & b) !== 0;
}
