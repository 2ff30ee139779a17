/**
 * @file A generated kernel under construction: its parameters, the helpers it uses, names and lines of code. Several
 * independent sections of work may share a kernel, each on a range of its blocks of 256 threads.
 */
import { invariant } from "../../../../base/errors.ts";
import { dtypeBytes, type DType } from "../../../../base/dtype.ts";
import type { Access, BufferView, KernelArgument, KernelStep } from "../plan.ts";
import { elementType } from "./elementTypes.ts";
import { helperText, type HelperName } from "./helpers.ts";
import type { Atom, Linear } from "./linear.ts";

/** Threads of a block of generated code. */
export const BLOCK_THREADS = 256;

interface Parameter {
  readonly name: string;
  readonly dtype: DType;
  readonly view: BufferView;
  readonly bytes: number;
  access: Access;
}

/** Collects what a kernel consists of. */
export class KernelBuilder {
  readonly helpers = new Set<HelperName>();
  /** Bytes of static shared memory; the sections use the same. */
  sharedBytes = 0;
  readonly #parameters = new Map<string, Parameter>();
  readonly #buffers = new Map<object, number>();
  readonly #sections: { readonly blocks: number; readonly lines: readonly string[] }[] = [];
  #names = 0;

  /** Bytes of the widest element written so far. */
  get widestWrite(): number {
    const written = [...this.#parameters.values()].filter(({ access }) => access !== "read");
    return Math.max(0, ...written.map(({ dtype }) => dtypeBytes(dtype)));
  }

  /** Whether there is nothing to launch. */
  get isEmpty(): boolean {
    return this.#sections.length === 0;
  }

  /** A name used nowhere else in the kernel. */
  fresh(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  /** The parameter that points to a tensor's elements. */
  pointer(view: BufferView, dtype: DType, bytes: number, access: "read" | "write"): string {
    if (!this.#buffers.has(view.buffer)) this.#buffers.set(view.buffer, this.#buffers.size);
    const key = `${this.#buffers.get(view.buffer)} ${view.offsetBytes} ${elementType(dtype).storage}`;
    let parameter = this.#parameters.get(key);
    if (!parameter) {
      parameter = { name: `p${this.#parameters.size}`, dtype, view, bytes, access };
      this.#parameters.set(key, parameter);
    }
    if (parameter.access !== access) parameter.access = "readWrite";
    return parameter.name;
  }

  /** Adds work on a number of blocks; its code finds the number of its own block in `block`. */
  section(blocks: number, lines: readonly string[]): void {
    invariant(blocks > 0 && blocks < 2 ** 31, `a kernel has between 1 and 2³¹ blocks, got ${blocks}`);
    this.#sections.push({ blocks, lines });
  }

  /** The finished launch. */
  step(name: string, label: string): KernelStep {
    const parameters = [...this.#parameters.values()];
    const declared = parameters.map(({ name, dtype, access }) => {
      const { storage } = elementType(dtype);
      return `${access === "read" ? "const " : ""}${storage}* __restrict__ ${name}`;
    });
    const shared =
      this.sharedBytes > 0 ? [`  __shared__ __align__(16) unsigned char shared[${this.sharedBytes}];`] : [];
    const code = [
      helperText(this.helpers),
      `extern "C" __global__ void __launch_bounds__(${BLOCK_THREADS}) ${name}(`,
      `${declared.map((text) => `    ${text}`).join(",\n")}) {`,
      ...shared,
      ...this.#dispatch(),
      "}",
      "",
    ].join("\n");
    return {
      kind: "kernel",
      label,
      source: { name, code: code.trimStart() },
      grid: [this.#sections.reduce((sum, { blocks }) => sum + blocks, 0), 1, 1],
      block: [BLOCK_THREADS, 1, 1],
      sharedBytes: 0,
      arguments: parameters.map(({ view, access, bytes }): KernelArgument => ({
        kind: "buffer",
        view,
        access,
        bytes,
      })),
    };
  }

  /** The sections, each on its range of blocks. */
  #dispatch(): string[] {
    const indent = (lines: readonly string[], by: string) => lines.map((line) => by + line);
    if (this.#sections.length === 1) {
      return ["  const int block = blockIdx.x;", ...indent(this.#sections[0]!.lines, "  ")];
    }
    const lines: string[] = [];
    let first = 0;
    this.#sections.forEach(({ blocks, lines: body }, i) => {
      const end = first + blocks;
      const last = i === this.#sections.length - 1;
      lines.push(
        last ? "  {" : `  if (blockIdx.x < ${end}) {`,
        `    const int block = blockIdx.x - ${first};`,
        ...indent(body, "    "),
        ...(last ? [] : ["    return;"]),
        "  }",
      );
      first = end;
    });
    return lines;
  }
}

/** Lines of code under one set of braces, with the values computed there and outside. */
export class Scope {
  readonly lines: string[] = [];
  readonly kernel: KernelBuilder;
  /** Whether index arithmetic needs 64 bits. */
  readonly wide: boolean;
  readonly #parent: Scope | undefined;
  readonly #values = new Map<string, string>();

  constructor(kernel: KernelBuilder, wide: boolean, parent?: Scope) {
    this.kernel = kernel;
    this.wide = wide;
    this.#parent = parent;
  }

  /** A scope within this one. */
  inner(): Scope {
    return new Scope(this.kernel, this.wide, this);
  }

  /** What was remembered under a key, here or outside. */
  recall(key: string): string | undefined {
    return this.#values.get(key) ?? this.#parent?.recall(key);
  }

  /** Remembers code under a key, for this scope and those within. */
  remember(key: string, code: string): void {
    this.#values.set(key, code);
  }

  /** Type of index variables. */
  get indexType(): string {
    return this.wide ? "long long" : "int";
  }

  /** An index expression as code; divisions become variables that are computed once. */
  index(e: Linear): string {
    const parts = e.terms.map(([atom, k]) => {
      const name = this.#atom(atom);
      return k === 1 ? name : k === -1 ? `-${name}` : `${k} * ${name}`;
    });
    if (e.constant !== 0 || parts.length === 0) parts.push(String(e.constant));
    return parts.join(" + ").replaceAll("+ -", "- ");
  }

  #atom(atom: Atom): string {
    if (atom.kind === "variable") return atom.key;
    const known = this.recall(`atom ${atom.key}`);
    if (known) return known;
    const of = this.index(atom.of);
    const unsigned = this.wide ? "unsigned long long" : "unsigned";
    const suffix = this.wide ? "ull" : "u";
    const name = this.kernel.fresh("i");
    const divided = atom.divisor === 1 ? "" : ` / ${atom.divisor}${suffix}`;
    const reduced = atom.modulus === Infinity ? "" : ` % ${atom.modulus}${suffix}`;
    this.lines.push(
      `const ${this.indexType} ${name} = (${this.indexType})((${unsigned})(${of})${divided}${reduced});`,
    );
    this.remember(`atom ${atom.key}`, name);
    return name;
  }
}
