/**
 * A filter that also looks into VXLAN: on the fabric a packet travels inside another, and who asks for `tcp
 * port 80` means the one inside. The program becomes: if this is VXLAN (IPv4 without options, UDP to the
 * tunnel's port, not a fragment), run the filter on the inner frame; when that says no, or it is no VXLAN,
 * run it on the frame itself.
 */
import type { BpfInstruction } from "../base/bpf-program.ts";

const OUTER_BYTES = 50; // Ethernet 14, IPv4 20, UDP 8, VXLAN 8
// Opcodes (linux/filter.h).
const LDH_ABS = 0x28;
const LDB_ABS = 0x30;
const JEQ = 0x15;
const JSET = 0x45;
const JA = 0x05;
const RET_K = 0x06;
const RET_A = 0x16;
const LD_LEN = 0x80;
const LDX_LEN = 0x81;
const LDX_MSH = 0xb1;
const CLASS_MASK = 0x07;
const CLASS_LD = 0x00;
const CLASS_LDX = 0x01;
const MODE_MASK = 0xe0;
const MODE_ABS = 0x20;
const MODE_IND = 0x40;

/**
 * `len` and a computed answer cannot be moved inside: then the filter is left as it is, and sees outer frames
 * only.
 */
export function lookIntoTunnel(program: readonly BpfInstruction[], vxlanPort: number): BpfInstruction[] {
  if (program.some(({ code }) => code === LD_LEN || code === LDX_LEN || code === RET_A)) return [...program];
  if (program.length === 1) return [...program]; // everything, or nothing
  const inner = program.map((instruction, index): BpfInstruction => {
    const { code, k } = instruction;
    // "No" inside is not the last word: go on behind the inner program, to the outer one.
    if (code === RET_K && k === 0) return { code: JA, jt: 0, jf: 0, k: program.length - index - 1 };
    return readsPacket(code) ? { ...instruction, k: k + OUTER_BYTES } : instruction;
  });
  return [...vxlanTest(vxlanPort, inner.length), ...inner, ...program];
}

/** Falls into the inner program, or jumps over it. A test reaches 255 instructions, a jump any number. */
function vxlanTest(port: number, innerLength: number): BpfInstruction[] {
  const tests: [load: number, at: number, test: number, value: number, isWanted: boolean][] = [
    [LDH_ABS, 12, JEQ, 0x0800, true],
    [LDB_ABS, 14, JEQ, 0x45, true],
    [LDB_ABS, 23, JEQ, 17, true],
    [LDH_ABS, 20, JSET, 0x3fff, false], // more fragments, or not the first
    [LDH_ABS, 36, JEQ, port, true],
  ];
  const program: BpfInstruction[] = [];
  // In this order no load is reached by a frame too short for it: that would refuse a frame the filter may
  // want.
  for (const [load, at, test, value, isWanted] of tests) {
    const left = 2 * tests.length - program.length - 2; // instructions of this list after the test
    const toEscape = left + 1; //                          past them and past the jump inside
    program.push({ code: load, jt: 0, jf: 0, k: at });
    program.push({ code: test, jt: isWanted ? 0 : toEscape, jf: isWanted ? toEscape : 0, k: value });
  }
  program.push({ code: JA, jt: 0, jf: 0, k: 1 });
  program.push({ code: JA, jt: 0, jf: 0, k: innerLength });
  return program;
}

function readsPacket(code: number): boolean {
  if (code === LDX_MSH) return true;
  const isLoad = (code & CLASS_MASK) === CLASS_LD || (code & CLASS_MASK) === CLASS_LDX;
  return isLoad && ((code & MODE_MASK) === MODE_ABS || (code & MODE_MASK) === MODE_IND);
}
