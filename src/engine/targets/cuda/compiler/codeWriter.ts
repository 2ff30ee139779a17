/**
 * @file Writes lines of generated code: named values, conditions, and memory accesses, of which neighbours are read and
 * written 16 bytes at a time where that is possible.
 */
import { dtypeBytes } from "../../../../base/dtype.ts";
import type { TensorSpec } from "../../../graph/node.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import type { BufferView } from "../plan.ts";
import { elementType, type ElementType } from "./elementTypes.ts";
import type { Scope } from "./kernelBuilder.ts";
import { follows, isMultiple, type Linear } from "./linear.ts";

/** Elements that a multiprocessor keeps near. */
const CACHED_ELEMENTS = 8192;
/** Suffixes of names, by lane. */
const lanes = "xyzwabcd";

/** Writes into a scope. */
export class CodeWriter {
  /** How many accesses read or write neighbours at once, and how many one lane after the other. */
  readonly accesses = { together: 0, apart: 0 };
  readonly #isAligned: (view: BufferView) => boolean;
  #scope: Scope;

  constructor(scope: Scope, isAligned: (view: BufferView) => boolean) {
    this.#scope = scope;
    this.#isAligned = isAligned;
  }

  get scope(): Scope {
    return this.#scope;
  }

  /** Writes into another scope while `write` runs. */
  within<T>(scope: Scope, write: () => T): T {
    const outer = this.#scope;
    this.#scope = scope;
    const result = write();
    this.#scope = outer;
    return result;
  }

  /** Gives expressions a name each, on one line. */
  assign(type: string, expressions: readonly string[], prefix = "v"): string[] {
    const name = this.#scope.kernel.fresh(prefix);
    const names = expressions.map((_, lane) => (expressions.length === 1 ? name : `${name}${lanes[lane]}`));
    this.#line(`const ${type} ${names.map((lane, i) => `${lane} = ${expressions[i]}`).join(", ")};`);
    return names;
  }

  /** low ≤ of < end as a variable; "" when it always holds, undefined when it never does. */
  condition(of: Linear, low: number, end: number): string | undefined {
    if (of.max < low || of.min >= end) return undefined;
    const tests = [
      ...(of.min < low ? [`${this.#scope.index(of)} >= ${low}`] : []),
      ...(of.max >= end ? [`${this.#scope.index(of)} < ${end}`] : []),
    ];
    if (tests.length === 0) return "";
    const text = tests.join(" && ");
    return this.#once(`condition ${text}`, () => {
      const name = this.#scope.kernel.fresh("c");
      this.#line(`const bool ${name} = ${text};`);
      return name;
    });
  }

  /** Values that depend on an index only, computed once for each. */
  distinct(
    at: readonly Linear[],
    key: string,
    compute: (at: readonly Linear[]) => readonly string[],
  ): string[] {
    const keys = at.map((index) => `${key} ${index.key}`);
    const missing = keys.flatMap((k, lane) =>
      keys.indexOf(k) === lane && this.#scope.recall(k) === undefined ? [lane] : [],
    );
    if (missing.length > 0) {
      const values = compute(missing.map((lane) => at[lane]!));
      missing.forEach((lane, i) => this.#scope.remember(keys[lane]!, values[i]!));
    }
    return keys.map((k) => this.#scope.recall(k)!);
  }

  /** Rows of a table as numbers from 0 to `last`: one outside would end the process's use of the GPU. */
  rows(rows: readonly string[], last: number): string[] {
    this.#scope.kernel.helpers.add("clamp");
    return rows.map((row) =>
      this.#once(`row ${row} ${last}`, () => this.assign("int", [`clamp(${row}, ${last})`], "r")[0]!),
    );
  }

  /** Reads elements at flat positions, each under its condition. */
  read(
    view: BufferView,
    t: TensorSpec,
    flat: readonly Linear[],
    guards: readonly string[] = flat.map(() => ""),
  ): string[] {
    const type = elementType(t.dtype);
    type.helpers?.forEach((name) => this.#scope.kernel.helpers.add(name));
    const pointer = this.#scope.kernel.pointer(view, t.dtype, tensorBytes(t), "read");
    const at = (position: Linear) => this.#scope.index(position);
    if (guards.every((guard) => guard === guards[0]) && this.#areNeighbours(view, t, flat)) {
      this.accesses.together++;
      const width = vectorLanes(t, flat.length);
      const values: string[] = [];
      for (let lane = 0; lane < flat.length; lane += width) {
        const vector = width === 8 ? "uint4" : type.vector;
        const name = this.#scope.kernel.fresh("q");
        const from = `*(const ${vector}*)(${pointer} + ${at(flat[lane]!)})`;
        if (guards[0] === "") this.#line(`const ${vector} ${name} = ${from};`);
        else this.#line(`${vector} ${name} = {}; if (${guards[0]}) ${name} = ${from};`);
        values.push(...unpack(type, name, width));
      }
      return type.load("") === "" ? values : this.assign(type.value, values);
    }
    // Of a small tensor, elements lie in a cache however they are read.
    if (flat.length > 1 && sizeOf(t.shape) > CACHED_ELEMENTS) this.accesses.apart++;
    return this.assign(
      type.value,
      flat.map((position, lane) => {
        const element = type.load(`${pointer}[${at(position)}]`);
        return guards[lane] === "" ? element : `${guards[lane]} ? ${element} : ${zeroOf(type.value)}`;
      }),
    );
  }

  /** Stores values at flat positions. */
  store(view: BufferView, t: TensorSpec, positions: readonly Linear[], values: readonly string[]): void {
    const type = elementType(t.dtype);
    type.helpers?.forEach((name) => this.#scope.kernel.helpers.add(name));
    const pointer = this.#scope.kernel.pointer(view, t.dtype, tensorBytes(t), "write");
    if (this.#areNeighbours(view, t, positions)) {
      this.accesses.together++;
      const width = vectorLanes(t, positions.length);
      for (let lane = 0; lane < positions.length; lane += width) {
        const vector = width === 8 ? "uint4" : type.vector;
        const packed = pack(type, values.slice(lane, lane + width));
        const at = this.#scope.index(positions[lane]!);
        this.#line(`*(${vector}*)(${pointer} + ${at}) = make_${vector}(${packed.join(", ")});`);
      }
      return;
    }
    if (positions.length > 1) this.accesses.apart++;
    positions.forEach((at, lane) => {
      this.#line(`${pointer}[${this.#scope.index(at)}] = ${type.store(values[lane]!)};`);
    });
  }

  #line(text: string): void {
    this.#scope.lines.push(text);
  }

  #once(key: string, compute: () => string): string {
    const known = this.#scope.recall(key);
    if (known) return known;
    const made = compute();
    this.#scope.remember(key, made);
    return made;
  }

  #areNeighbours(view: BufferView, t: TensorSpec, flat: readonly Linear[]): boolean {
    return (
      flat.length > 1 &&
      isMultiple(flat[0]!, vectorLanes(t, flat.length)) &&
      flat.every((at, lane) => follows(flat[0]!, at, lane)) &&
      this.#isAligned(view)
    );
  }
}

/** Both conditions. */
export function both(a: string, b: string): string {
  return a === "" ? b : b === "" || a === b || a.split(" && ").includes(b) ? a : `${a} && ${b}`;
}

/** Elements in one access of a thread that takes so many lanes. */
function vectorLanes({ dtype }: TensorSpec, count: number): 4 | 8 {
  return count === 8 && dtypeBytes(dtype) === 2 ? 8 : 4;
}

/** The elements of a vector in memory: four by name, or eight of 16 bits in four words. */
function unpack(type: ElementType, name: string, width: 4 | 8): string[] {
  const words = [..."xyzw"].map((lane) => `${name}.${lane}`);
  if (width === 4) return words.map(type.load);
  return words.flatMap((word) => [
    type.load(`(unsigned short)${word}`),
    type.load(`(unsigned short)(${word} >> 16)`),
  ]);
}

function pack(type: ElementType, values: readonly string[]): string[] {
  const stored = values.map(type.store);
  if (values.length === 4) return stored;
  return [0, 2, 4, 6].map((lane) => `${stored[lane]} | (unsigned)${stored[lane + 1]} << 16`);
}

function zeroOf(value: ElementType["value"]): string {
  return value === "float" ? "0.0f" : value === "bool" ? "false" : "0";
}
