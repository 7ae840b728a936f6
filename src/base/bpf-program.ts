/**
 * Programs for the classic BPF machine (McCanne & Jacobson 1993; opcodes as in pcap-filter's output and
 * linux/filter.h): their form on the wire, and the check that makes them safe to run in dataplane/trace/bpf.ts:
 * known opcodes, jumps forward and inside, scratch cells written before they are read, the last instruction
 * returns.
 *
 * Deliberately missing: Linux' negative offsets (packet type, interface index, VLAN metadata). tcpdump emits
 * them only for `inbound`, `outbound` and `ifindex`, which say nothing about a frame in memory.
 */
import { PodwireError } from "./errors.ts";

/** One instruction as `tcpdump -ddd` prints it: four numbers. */
export interface BpfInstruction {
  readonly code: number;
  /** Instructions to skip when the test holds, and when it does not. */
  readonly jt: number;
  readonly jf: number;
  /** u32 or i32: only the bits count. */
  readonly k: number;
}

/** A program that `run` could not be trusted with. */
class BpfError extends PodwireError {
  constructor(message: string, instruction: number) {
    super(`BPF instruction ${instruction}: ${message}`, { code: "BPF_INVALID", instruction });
  }
}

const MAX_INSTRUCTIONS = 4096; //  BPF_MAXINSNS
const INSTRUCTION_BYTES = 8; //    struct sock_filter: u16 code, u8 jt, u8 jf, u32 k, little-endian here
const SCRATCH_CELLS = 16; //       BPF_MEMWORDS
/** What a filter answers that wants all of a packet, however long. */
export const ACCEPT_ALL = 0x7fffffff;

/** Our own dense numbers for the opcodes, so that the machine's switch becomes a jump table. */
export const Op = Object.freeze({
  RET_K: 0,
  RET_A: 1,
  LD_IMM: 2,
  LDX_IMM: 3,
  LD_LEN: 4,
  LDX_LEN: 5,
  LD_MEM: 6,
  LDX_MEM: 7,
  ST: 8,
  STX: 9,
  TAX: 10,
  TXA: 11,
  LDX_MSH: 12,
  LD_W_ABS: 13,
  LD_H_ABS: 14,
  LD_B_ABS: 15,
  LD_W_IND: 16,
  LD_H_IND: 17,
  LD_B_IND: 18,
  ALU_K: 19,
  ALU_X: 20,
  JA: 21,
  JMP_K: 22,
  JMP_X: 23,
} as const);
/** Arithmetic: bits 4–7 of the opcode. */
export const Alu = Object.freeze({
  ADD: 0,
  SUB: 1,
  MUL: 2,
  DIV: 3,
  OR: 4,
  AND: 5,
  LSH: 6,
  RSH: 7,
  NEG: 8,
  MOD: 9,
  XOR: 10,
} as const);
/** Tests of a jump: bits 4–7 of the opcode. */
export const Test = Object.freeze({
  JEQ: 1,
  JGT: 2,
  JGE: 3,
  JSET: 4,
} as const);

/** A checked program. One per worker: the scratch memory is its own. */
export class BpfProgram {
  readonly op: Uint8Array;
  readonly sub: Uint8Array; //    which arithmetic or test
  readonly jt: Uint16Array; //    absolute targets
  readonly jf: Uint16Array;
  readonly k: Int32Array;
  readonly scratch = new Int32Array(SCRATCH_CELLS);
  constructor(length: number) {
    this.op = new Uint8Array(length);
    this.sub = new Uint8Array(length);
    this.jt = new Uint16Array(length);
    this.jf = new Uint16Array(length);
    this.k = new Int32Array(length);
  }
}

/** Checks a program and lays it out for `run`. Throws BpfError. */
export function createBpfProgram(instructions: readonly BpfInstruction[]): BpfProgram {
  const count = instructions.length;
  if (count === 0 || count > MAX_INSTRUCTIONS) {
    throw new BpfError(`a program has 1 to ${MAX_INSTRUCTIONS} instructions, not ${count}`, 0);
  }
  const program = new BpfProgram(count);
  for (let pc = 0; pc < count; pc++) decode(program, pc, instructions[pc]);
  if (program.op[count - 1] > Op.RET_A) throw new BpfError("the last instruction does not return", count - 1);
  checkScratch(program);
  return program;
}

/** The bytes of `struct sock_filter[]`, as they travel between processes. */
export function encodeBpf(instructions: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < instructions.length; i++) {
    const { code, jt, jf, k } = instructions[i];
    view.setUint16(i * INSTRUCTION_BYTES, code, true);
    view.setUint8(i * INSTRUCTION_BYTES + 2, jt);
    view.setUint8(i * INSTRUCTION_BYTES + 3, jf);
    view.setInt32(i * INSTRUCTION_BYTES + 4, k | 0, true);
  }
  return bytes;
}

export function decodeBpf(bytes: Uint8Array): BpfInstruction[] {
  if (bytes.length % INSTRUCTION_BYTES !== 0) throw new BpfError("the program is cut off", 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const instructions: BpfInstruction[] = [];
  for (let at = 0; at < bytes.length; at += INSTRUCTION_BYTES) {
    const code = view.getUint16(at, true);
    const k = view.getInt32(at + 4, true);
    instructions.push({ code, jt: view.getUint8(at + 2), jf: view.getUint8(at + 3), k });
  }
  return instructions;
}

/** linux/filter.h opcodes without arithmetic and tests → ours. */
const PLAIN_OPS: Readonly<Record<number, number>> = {
  0: Op.LD_IMM,
  1: Op.LDX_IMM,
  2: Op.ST,
  3: Op.STX,
  5: Op.JA,
  6: Op.RET_K,
  7: Op.TAX,
  22: Op.RET_A,
  32: Op.LD_W_ABS,
  40: Op.LD_H_ABS,
  48: Op.LD_B_ABS,
  64: Op.LD_W_IND,
  72: Op.LD_H_IND,
  80: Op.LD_B_IND,
  96: Op.LD_MEM,
  97: Op.LDX_MEM,
  128: Op.LD_LEN,
  129: Op.LDX_LEN,
  135: Op.TXA,
  177: Op.LDX_MSH,
};
const CLASS_ALU = 0x04;
const CLASS_JMP = 0x05;
const SOURCE_X = 0x08;

function decode(program: BpfProgram, pc: number, instruction: BpfInstruction): void {
  const { code, jt, jf } = instruction;
  const k = instruction.k | 0;
  const op = operation(code, pc);
  const sub = (code >> 4) & 0x0f;
  program.op[pc] = op;
  program.sub[pc] = sub;
  program.k[pc] = op === Op.RET_K && k < 0 ? ACCEPT_ALL : k;
  if (op >= Op.LDX_MSH && op <= Op.LD_B_IND && k < 0) {
    throw new BpfError("offsets of the Linux kernel (inbound, outbound, ifindex) are not supported", pc);
  }
  if (
    (op === Op.LD_MEM || op === Op.LDX_MEM || op === Op.ST || op === Op.STX) &&
    (k < 0 || k >= SCRATCH_CELLS)
  ) {
    throw new BpfError(`there is no scratch cell ${k}`, pc);
  }
  if (op === Op.ALU_K && (sub === Alu.DIV || sub === Alu.MOD) && k === 0)
    throw new BpfError("division by zero", pc);
  if (op === Op.JA && k < 0) throw new BpfError("loops (protochain) are not supported", pc);
  if (op === Op.JA) setTargets(program, pc, k, k);
  else if (op === Op.JMP_K || op === Op.JMP_X) setTargets(program, pc, jt, jf);
}

function operation(code: number, pc: number): number {
  const plain = PLAIN_OPS[code];
  if (plain !== undefined) return plain;
  const kind = code & 0x07;
  const sub = (code >> 4) & 0x0f;
  if (code >> 8 === 0 && kind === CLASS_ALU && sub <= Alu.XOR) return code & SOURCE_X ? Op.ALU_X : Op.ALU_K;
  if (code >> 8 === 0 && kind === CLASS_JMP && sub >= Test.JEQ && sub <= Test.JSET)
    return code & SOURCE_X ? Op.JMP_X : Op.JMP_K;
  throw new BpfError(`unknown opcode 0x${code.toString(16)}`, pc);
}

function setTargets(program: BpfProgram, pc: number, jt: number, jf: number): void {
  const last = program.op.length - 1;
  for (const skip of [jt, jf]) {
    if (!Number.isInteger(skip) || skip < 0 || pc + 1 + skip > last)
      throw new BpfError("jump out of the program", pc);
  }
  program.jt[pc] = pc + 1 + jt;
  program.jf[pc] = pc + 1 + jf;
}

/**
 * No cell is read that some way to it has not written: scratch memory outlives a packet, and what one packet
 * left there must not decide about the next. Jumps go forward, so one pass over the program sees every way.
 */
function checkScratch(program: BpfProgram): void {
  const count = program.op.length;
  const written = new Int32Array(count).fill(-1); // bit n: cell n is written on every way to this instruction
  written[0] = 0;
  const flow = (to: number, cells: number) => {
    if (to < count) written[to] &= cells;
  };
  for (let pc = 0; pc < count; pc++) {
    const op = program.op[pc];
    const bit = 1 << program.k[pc];
    let cells = written[pc];
    if ((op === Op.LD_MEM || op === Op.LDX_MEM) && (cells & bit) === 0) {
      throw new BpfError(`scratch cell ${program.k[pc]} is read before it is written`, pc);
    }
    if (op === Op.ST || op === Op.STX) cells |= bit;
    if (op === Op.RET_K || op === Op.RET_A) continue;
    if (op === Op.JA || op === Op.JMP_K || op === Op.JMP_X) {
      flow(program.jt[pc], cells);
      flow(op === Op.JA ? program.jt[pc] : program.jf[pc], cells);
    } else flow(pc + 1, cells);
  }
}
