/**
 * @file Writes the code that computes tensors at given indices: the chain of elementwise and movement ops that leads
 * back to stored tensors, with each value computed once.
 *
 * A tensor is asked for in several lanes at a time, four neighbouring elements as a rule. Lanes whose index is the
 * same share their code, and stored neighbours are read by one 16-byte load.
 */
import { invariant } from "../../../errors.ts";
import type { AnyNode, Node, Tensor, TensorSpec } from "../../../graph/node.ts";
import { sizeOf, type Shape } from "../../../shape.ts";
import { dtypeBytes } from "../../../dtype.ts";
import type { BufferView } from "../plan.ts";
import { elementType, floatLiteral, literal } from "./elementTypes.ts";
import type { Scope } from "./kernelBuilder.ts";
import {
  digit,
  fixed,
  flatten,
  follows,
  isMultiple,
  plus,
  times,
  unflatten,
  variable,
  type Linear,
} from "./linear.ts";
import { isElementwise, scalarCode } from "./scalarCode.ts";

/** Elements that a multiprocessor keeps near. */
const CACHED_ELEMENTS = 8192;

/** An element of a tensor: its index, and the condition under which it exists; "" for always. */
interface Place {
  readonly index: readonly Linear[];
  readonly guard: string;
}

/** Where tensors lie. */
export interface Places {
  /** Whether a tensor is read from memory rather than computed. */
  isStored(t: Tensor): boolean;
  view(t: Tensor): BufferView;
  /** Memory that holds fixed whole numbers. */
  integers(values: readonly number[]): BufferView;
  /** Whether a view begins at a multiple of 16 bytes. */
  isAligned(view: BufferView): boolean;
}

/** Told of every element read from memory; the position is flat. */
export type OnLoad = (t: Tensor, at: Linear, guard: string) => void;

/** Computes tensors in a scope. */
export class Evaluator {
  readonly #places: Places;
  readonly #onLoad: OnLoad | undefined;
  #scope: Scope;
  /** How many accesses read or write four neighbours at once, and how many four elements apart. */
  readonly accesses = { together: 0, apart: 0 };

  constructor(places: Places, scope: Scope, onLoad?: OnLoad) {
    this.#places = places;
    this.#scope = scope;
    this.#onLoad = onLoad;
  }

  /** Writes into another scope while `write` runs. */
  within<T>(scope: Scope, write: () => T): T {
    const outer = this.#scope;
    this.#scope = scope;
    const result = write();
    this.#scope = outer;
    return result;
  }

  /** Values of a tensor's elements at flat positions, as code. */
  at(t: Tensor, positions: readonly Linear[]): string[] {
    return this.#evaluate(
      t,
      positions.map((at) => ({ index: unflatten(at, t.shape), guard: "" })),
    );
  }

  /** Values of a tensor's elements at indices, as code. */
  atIndex(t: Tensor, indices: readonly (readonly Linear[])[]): string[] {
    return this.#evaluate(
      t,
      indices.map((index) => ({ index, guard: "" })),
    );
  }

  /** Lets a value in a register stand for a tensor's element. */
  define(t: Tensor, position: Linear, value: string): void {
    this.#scope.remember(keyOf(t, position), value);
  }

  /** Values in memory that are no tensor of the graph. */
  read(view: BufferView, spec: TensorSpec, positions: readonly Linear[]): string[] {
    return this.#read(
      view,
      spec,
      positions.map(() => ""),
      positions,
    );
  }

  /** Stores values at flat positions. */
  store(view: BufferView, t: TensorSpec, positions: readonly Linear[], values: readonly string[]): void {
    const type = elementType(t.dtype);
    type.helpers?.forEach((name) => this.#scope.kernel.helpers.add(name));
    const pointer = this.#scope.kernel.pointer(view, t.dtype, bytesOf(t), "write");
    if (this.#areNeighbours(view, positions)) {
      this.accesses.together++;
      const at = this.#scope.index(positions[0]!);
      const packed = `make_${type.vector}(${values.map(type.store).join(", ")})`;
      this.#line(`*(${type.vector}*)(${pointer} + ${at}) = ${packed};`);
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

  #evaluate(t: Tensor, places: readonly Place[]): string[] {
    const flat = places.map(({ index }) => flatten(index, t.shape));
    const keys = places.map(({ guard }, lane) => keyOf(t, flat[lane]!) + guard);
    const known = (lane: number) =>
      this.#scope.recall(keyOf(t, flat[lane]!)) ?? this.#scope.recall(keys[lane]!);
    const missing = keys.flatMap((key, lane) =>
      keys.indexOf(key) === lane && known(lane) === undefined ? [lane] : [],
    );
    if (missing.length > 0) {
      const values = this.#compute(
        t,
        missing.map((lane) => places[lane]!),
        missing.map((lane) => flat[lane]!),
      );
      missing.forEach((lane, i) => this.#scope.remember(keys[lane]!, values[i]!));
    }
    return keys.map((_, lane) => known(lane)!);
  }

  #compute(t: Tensor, places: readonly Place[], flat: readonly Linear[]): string[] {
    const node = t.node as unknown as AnyNode;
    if (node.op === "constant") {
      const { data } = node.attrs;
      if (flat.every((at) => at.terms.length === 0)) {
        return flat.map((at) => literal(data[Math.min(at.constant, data.length - 1)]!, t.dtype));
      }
      if (data.every((x) => Object.is(x, data[0]))) return flat.map(() => literal(data[0]!, t.dtype));
    }
    if (this.#places.isStored(t)) return this.#load(t, places, flat);
    if (isElementwise(node)) return this.#elementwise(node, places);
    switch (node.op) {
      case "reshape":
        return this.#evaluate(
          node.inputs[0]!,
          places.map(({ guard }, lane) => ({ index: unflatten(flat[lane]!, node.inputs[0]!.shape), guard })),
        );
      case "broadcastTo":
        return this.#evaluate(
          node.inputs[0]!,
          places.map((place) => broadcast(place, node.inputs[0]!.shape)),
        );
      case "transpose": {
        const { permutation } = node.attrs;
        return this.#moved(node, places, (index) =>
          index.map((_, axis) => index[permutation.indexOf(axis)]!),
        );
      }
      case "slice": {
        const { starts, steps } = node.attrs;
        return this.#moved(node, places, (index) =>
          index.map((i, axis) => plus(fixed(starts[axis]!), i, steps[axis]!)),
        );
      }
      case "flip": {
        const { axis } = node.attrs;
        return this.#moved(node, places, (index) =>
          index.with(axis, plus(fixed(t.shape[axis]! - 1), index[axis]!, -1)),
        );
      }
      case "take":
        return this.#take(node, places);
      case "pad":
        return this.#pad(node, places);
      case "concat":
        return this.#concat(node, places);
      case "gather":
        return this.#gather(node, places);
      case "random":
        return this.#random(node, flat);
      case "matmul":
        return this.#outerProduct(node, places);
      default:
        throw new Error(`Pareto invariant broken: ${node.op} has no generated code`);
    }
  }

  #moved(
    node: AnyNode,
    places: readonly Place[],
    move: (index: readonly Linear[]) => readonly Linear[],
  ): string[] {
    return this.#evaluate(
      node.inputs[0]!,
      places.map(({ index, guard }) => ({ index: move(index), guard })),
    );
  }

  #elementwise(node: AnyNode, places: readonly Place[]): string[] {
    const operands = node.inputs.map((x) =>
      this.#evaluate(
        x,
        places.map((place) => broadcast(place, x.shape)),
      ),
    );
    const { value } = elementType(node.outputs[0]!.dtype);
    return this.#assign(
      value,
      places.map((_, lane) => {
        const { code, helper } = scalarCode(
          node,
          operands.map((values) => values[lane]!),
        );
        if (helper) this.#scope.kernel.helpers.add(helper);
        return code;
      }),
    );
  }

  /** Gives expressions a name each, on one line. */
  #assign(type: string, expressions: readonly string[], prefix = "v"): string[] {
    const name = this.#scope.kernel.fresh(prefix);
    const names = expressions.map((_, lane) => (expressions.length === 1 ? name : `${name}${"xyzw"[lane]}`));
    this.#line(`const ${type} ${names.map((lane, i) => `${lane} = ${expressions[i]}`).join(", ")};`);
    return names;
  }

  #load(t: Tensor, places: readonly Place[], flat: readonly Linear[]): string[] {
    flat.forEach((at, lane) => this.#onLoad?.(t, at, places[lane]!.guard));
    return this.#read(
      this.#places.view(t),
      t,
      places.map(({ guard }) => guard),
      flat,
    );
  }

  #read(view: BufferView, t: TensorSpec, guards: readonly string[], flat: readonly Linear[]): string[] {
    const type = elementType(t.dtype);
    type.helpers?.forEach((name) => this.#scope.kernel.helpers.add(name));
    const pointer = this.#scope.kernel.pointer(view, t.dtype, bytesOf(t), "read");
    if (this.#areNeighbours(view, flat) && guards.every((guard) => guard === guards[0])) {
      this.accesses.together++;
      const name = this.#scope.kernel.fresh("q");
      const from = `*(const ${type.vector}*)(${pointer} + ${this.#scope.index(flat[0]!)})`;
      if (guards[0] === "") this.#line(`const ${type.vector} ${name} = ${from};`);
      else {
        this.#line(`${type.vector} ${name} = {};`);
        this.#line(`if (${guards[0]}) ${name} = ${from};`);
      }
      const lanes = [..."xyzw"].map((lane) => type.load(`${name}.${lane}`));
      return type.load("") === "" ? lanes : this.#assign(type.value, lanes);
    }
    // Of a small tensor, elements lie in a cache however they are read.
    if (flat.length > 1 && sizeOf(t.shape) > CACHED_ELEMENTS) this.accesses.apart++;
    return this.#assign(
      type.value,
      flat.map((at, lane) => {
        const element = type.load(`${pointer}[${this.#scope.index(at)}]`);
        return guards[lane] === "" ? element : `${guards[lane]} ? ${element} : ${zeroOf(type.value)}`;
      }),
    );
  }

  #areNeighbours(view: BufferView, flat: readonly Linear[]): boolean {
    return (
      flat.length === 4 &&
      isMultiple(flat[0]!, 4) &&
      flat.every((at, lane) => follows(flat[0]!, at, lane)) &&
      this.#places.isAligned(view)
    );
  }

  /** A condition as a variable; "" when it always holds, undefined when it never does. */
  #condition(of: Linear, low: number, end: number): string | undefined {
    if (of.max < low || of.min >= end) return undefined;
    const tests = [
      ...(of.min < low ? [`${this.#scope.index(of)} >= ${low}`] : []),
      ...(of.max >= end ? [`${this.#scope.index(of)} < ${end}`] : []),
    ];
    if (tests.length === 0) return "";
    const text = tests.join(" && ");
    const key = `condition ${text}`;
    const known = this.#scope.recall(key);
    if (known) return known;
    const name = this.#scope.kernel.fresh("c");
    this.#line(`const bool ${name} = ${text};`);
    this.#scope.remember(key, name);
    return name;
  }

  #both(a: string, b: string): string {
    return a === "" ? b : b === "" || a === b || a.split(" && ").includes(b) ? a : `${a} && ${b}`;
  }

  #take(node: Node<"take">, places: readonly Place[]): string[] {
    const { axis, indices } = node.attrs;
    const table = { dtype: "int32", shape: [indices.length] } as const;
    const view = this.#places.integers(indices);
    const last = node.inputs[0]!.shape[axis]! - 1;
    const rows = this.#distinct(
      places.map(({ index }) => index[axis]!),
      `take ${node.id}`,
      (at) =>
        this.#read(
          view,
          table,
          at.map(() => ""),
          at,
        ),
    );
    return this.#evaluate(
      node.inputs[0]!,
      places.map(({ index, guard }, lane) => ({
        index: index.with(axis, variable(rows[lane]!, 0, last)),
        guard,
      })),
    );
  }

  /** Values that depend on an index only, computed once for each. */
  #distinct(at: readonly Linear[], key: string, compute: (at: readonly Linear[]) => string[]): string[] {
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

  #gather(node: Node<"gather">, places: readonly Place[]): string[] {
    const [table, indices] = node.inputs as [Tensor, Tensor];
    const rank = indices.shape.length;
    const last = table.shape[0]! - 1;
    const rows = this.#evaluate(
      indices,
      places.map(({ index, guard }) => ({ index: index.slice(0, rank), guard })),
    );
    this.#scope.kernel.helpers.add("clamp");
    // A row outside the table would end the process's use of the GPU; it is moved to the nearest one instead.
    const safe = new Map<string, string>();
    for (const row of rows) {
      if (safe.has(row)) continue;
      const key = `row ${row} ${last}`;
      const name = this.#scope.recall(key) ?? this.#assign("int", [`clamp(${row}, ${last})`], "r")[0]!;
      this.#scope.remember(key, name);
      safe.set(row, name);
    }
    return this.#evaluate(
      table,
      places.map(({ index, guard }, lane) => ({
        index: [variable(safe.get(rows[lane]!)!, 0, last), ...index.slice(rank)],
        guard,
      })),
    );
  }

  #pad(node: Node<"pad">, places: readonly Place[]): string[] {
    const x = node.inputs[0]!;
    const { before, value } = node.attrs;
    const type = elementType(x.dtype).value;
    const filler =
      type === "float"
        ? floatLiteral(Math.fround(value))
        : type === "bool"
          ? String(value !== 0)
          : String(value | 0);
    const conditions = places.map(({ index }) => {
      let all: string | undefined = "";
      x.shape.forEach((n, axis) => {
        const one = this.#condition(index[axis]!, before[axis]!, before[axis]! + n);
        all = all === undefined || one === undefined ? undefined : this.#both(all, one);
      });
      return all;
    });
    const inside = places.flatMap((_, lane) => (conditions[lane] === undefined ? [] : [lane]));
    const values = this.#evaluate(
      x,
      inside.map((lane) => ({
        index: places[lane]!.index.map((i, axis) => plus(i, fixed(-before[axis]!))),
        guard: this.#both(places[lane]!.guard, conditions[lane]!),
      })),
    );
    const results = places.map((_, lane) => {
      const at = inside.indexOf(lane);
      if (at < 0) return filler;
      return conditions[lane] === "" ? values[at]! : `${conditions[lane]} ? ${values[at]} : ${filler}`;
    });
    return conditions.every((c) => !c) ? results : this.#assign(type, results);
  }

  #concat(node: Node<"concat">, places: readonly Place[]): string[] {
    const { axis } = node.attrs;
    const type = elementType(node.outputs[0]!.dtype).value;
    const chosen = places.map((): { condition: string; value: string }[] => []);
    let start = 0;
    for (const part of node.inputs) {
      const [first, end] = [start, start + part.shape[axis]!];
      start = end;
      if (first === end) continue;
      const conditions = places.map(({ index }) => this.#condition(index[axis]!, first, end));
      const hit = places.flatMap((_, lane) => (conditions[lane] === undefined ? [] : [lane]));
      const values = this.#evaluate(
        part,
        hit.map((lane) => {
          const { index, guard } = places[lane]!;
          return {
            index: index.with(axis, plus(index[axis]!, fixed(-first))),
            guard: this.#both(guard, conditions[lane]!),
          };
        }),
      );
      hit.forEach((lane, i) => chosen[lane]!.push({ condition: conditions[lane]!, value: values[i]! }));
    }
    const results = chosen.map((options) =>
      options
        .slice(0, -1)
        .reduceRight(
          (rest, { condition, value }) => `${condition} ? ${value} : ${rest}`,
          options.at(-1)!.value,
        ),
    );
    return chosen.every((options) => options.length === 1) ? results : this.#assign(type, results);
  }

  /** A matrix product over an inner length of 1. */
  #outerProduct(node: Node<"matmul">, places: readonly Place[]): string[] {
    const { transposeA, transposeB } = node.attrs;
    const operand = (x: Tensor, isRow: boolean, transpose: boolean) =>
      this.#evaluate(
        x,
        places.map(({ index, guard }) => {
          const own = index.at(isRow ? -2 : -1)!;
          const pair = isRow !== transpose ? [own, fixed(0)] : [fixed(0), own];
          return broadcast({ index: [...index.slice(0, -2), ...pair], guard }, x.shape);
        }),
      );
    const [a, b] = [operand(node.inputs[0]!, true, transposeA), operand(node.inputs[1]!, false, transposeB)];
    return this.#assign(
      "float",
      places.map((_, lane) => `${a[lane]} * ${b[lane]}`),
    );
  }

  #random(node: Node<"random">, flat: readonly Linear[]): string[] {
    const key = this.at(node.inputs[0]!, [0, 1, 2, 3].map(fixed));
    this.#scope.kernel.helpers.add("philox");
    const blocks = this.#distinct(
      flat.map((at) => digit(at, 4, Infinity)),
      `philox ${node.id}`,
      (counters) =>
        counters.map(
          (counter) =>
            this.#assign(
              "uint4",
              [`philox((unsigned)(${this.#scope.index(counter)}), ${key.join(", ")})`],
              "w",
            )[0]!,
        ),
    );
    const words = flat.map((at, lane) => {
      const word = digit(at, 1, 4);
      return word.terms.length === 0
        ? `${blocks[lane]}.${"xyzw"[word.constant]}`
        : `word_of(${blocks[lane]}, ${this.#scope.index(word)})`;
    });
    return this.#assign(
      "float",
      words.map((word) => `uniform(${word})`),
    );
  }
}

function keyOf(t: Tensor, at: Linear): string {
  return `${t.node.id}.${t.index} ${at.key} `;
}

function bytesOf(t: TensorSpec): number {
  return sizeOf(t.shape) * dtypeBytes(t.dtype);
}

function zeroOf(value: string): string {
  return value === "float" ? "0.0f" : value === "bool" ? "false" : "0";
}

/** The place of an operand that broadcasts to a result. */
function broadcast({ index, guard }: Place, shape: Shape): Place {
  const lead = index.length - shape.length;
  invariant(lead >= 0, "an operand has no more axes than the result it broadcasts to");
  return { index: shape.map((n, axis) => (n === 1 ? fixed(0) : index[lead + axis]!)), guard };
}

/** Four neighbouring positions from 4 · v on, or one position. */
export function lanesFrom(v: Linear, lanes: 1 | 4): Linear[] {
  return lanes === 1 ? [v] : [0, 1, 2, 3].map((lane) => plus(times(v, 4), fixed(lane)));
}
