/**
 * An assembler for classic BPF (Linux Documentation/networking/filter.rst): programs that the kernel takes from an
 * unprivileged description, checks and compiles. They jump forwards only, so they end.
 */

/** Opcodes as `<linux/filter.h>` has them: class | size | mode. */
const OPCODES = {
  /** A = octet, half word, word at k. */
  loadByte: 0x30,
  loadHalf: 0x28,
  loadWord: 0x20,
  /** A = octet, half word at X + k. */
  loadByteAtX: 0x50,
  loadHalfAtX: 0x48,
  /** X = 4 × (low nibble of the octet at k): the length of an IPv4 header. */
  loadHeaderLength: 0xb1,
  /** X = k. */
  setX: 0x01,
  /** A = M[k], M[k] = A. */
  recall: 0x60,
  keep: 0x02,
  and: 0x54,
  add: 0x04,
  shiftLeft: 0x64,
  shiftRight: 0x74,
  /** A += X, X = A. */
  addX: 0x0c,
  moveToX: 0x07,
  jump: 0x05,
  /** Jumps when A = k, when A has a bit of k. */
  jumpIfEqual: 0x15,
  jumpIfAny: 0x45,
  return: 0x06,
} as const;

type Opcode = keyof typeof OPCODES;

interface Instruction {
  readonly opcode: Opcode;
  readonly k: number;
  readonly ifTrue?: string | undefined;
  readonly ifFalse?: string | undefined;
}

/** A conditional jump reaches so many instructions; an unconditional one reaches all. */
const NEAR = 255;

/** The most instructions that the kernel takes, BPF_MAXINSNS. */
export const MOST_INSTRUCTIONS = 4096;

/** Collects instructions and labels; `toString` gives what `tc filter … bpf bytecode` takes, tc-bpf(8). */
export class ClassicBpf {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  #unique = 0;

  get length(): number {
    return this.#instructions.length;
  }

  /** @param k immediate or offset; negative ones are meant modulo 2^32 */
  do(opcode: Exclude<Opcode, 'jump' | 'jumpIfEqual' | 'jumpIfAny'>, k = 0): this {
    this.#instructions.push({ opcode, k });
    return this;
  }

  /** Goes on at a label further down; either of them may be left out, then it goes on with the next instruction. */
  jumpIf(opcode: 'jumpIfEqual' | 'jumpIfAny', k: number, ifTrue?: string, ifFalse?: string): this {
    this.#instructions.push({ opcode, k, ifTrue, ifFalse });
    return this;
  }

  jump(label: string): this {
    this.#instructions.push({ opcode: 'jump', k: 0, ifTrue: label });
    return this;
  }

  /** Names the next instruction. */
  label(name: string): this {
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  /** A label that nobody else has. */
  unique(): string {
    this.#unique += 1;
    return `#${this.#unique}`;
  }

  toString(): string {
    const distance = (from: number, label: string | undefined): number => {
      if (label === undefined) return 0;
      const to = this.#labels.get(label);
      if (to === undefined || to <= from) throw new RangeError(`classic BPF: no label ${label} further down`);
      return to - from - 1;
    };
    const near = (from: number, label: string | undefined): number => {
      const jumps = distance(from, label);
      if (jumps > NEAR) throw new RangeError(`classic BPF: ${label} is ${jumps} instructions away`);
      return jumps;
    };
    const lines = this.#instructions.map(({ opcode, k, ifTrue, ifFalse }, at) =>
      opcode === 'jump'
        ? `${OPCODES[opcode]} 0 0 ${distance(at, ifTrue)}`
        : `${OPCODES[opcode]} ${near(at, ifTrue)} ${near(at, ifFalse)} ${k >>> 0}`,
    );
    return [lines.length, ...lines].join(',');
  }
}
