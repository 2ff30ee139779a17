/**
 * @file Writes the code that computes tensors at given indices: the chain of elementwise and movement ops that leads
 * back to stored tensors, with each value computed once.
 *
 * A tensor is asked for in several lanes at a time, four or eight neighbouring elements as a rule. Lanes whose index
 * is the same share their code.
 */
import type { AnyNode, Node, Tensor } from "../../../graph/node.ts";
import { both, CodeWriter } from "./codeWriter.ts";
import { elementType, floatLiteral, literal } from "./elementTypes.ts";
import type { Scope } from "./kernelBuilder.ts";
import { digit, fixed, flatten, plus, unflatten, variable, type Linear } from "./linear.ts";
import { broadcast, type Place, type Places } from "./places.ts";
import { isElementwise, scalarCode } from "./scalarCode.ts";

/** Told of every element read from memory; the position is flat. */
export type OnLoad = (t: Tensor, at: Linear) => void;

/** Computes tensors in a scope. */
export class Evaluator {
  readonly code: CodeWriter;
  readonly #places: Places;
  readonly #onLoad: OnLoad | undefined;

  constructor(places: Places, scope: Scope, onLoad?: OnLoad) {
    this.code = new CodeWriter(scope, places.isAligned);
    this.#places = places;
    this.#onLoad = onLoad;
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
    this.code.scope.remember(keyOf(t, position), value);
  }

  #evaluate(t: Tensor, places: readonly Place[]): string[] {
    const flat = places.map(({ index }) => flatten(index, t.shape));
    const keys = places.map(({ guard }, lane) => keyOf(t, flat[lane]!) + guard);
    const known = (lane: number) =>
      this.code.scope.recall(keyOf(t, flat[lane]!)) ?? this.code.scope.recall(keys[lane]!);
    const missing = keys.flatMap((key, lane) =>
      keys.indexOf(key) === lane && known(lane) === undefined ? [lane] : [],
    );
    if (missing.length > 0) {
      const values = this.#compute(
        t,
        missing.map((lane) => places[lane]!),
        missing.map((lane) => flat[lane]!),
      );
      missing.forEach((lane, i) => this.code.scope.remember(keys[lane]!, values[i]!));
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
    return this.code.assign(
      value,
      places.map((_, lane) => {
        const { code, helper } = scalarCode(
          node,
          operands.map((values) => values[lane]!),
        );
        if (helper) this.code.scope.kernel.helpers.add(helper);
        return code;
      }),
    );
  }

  #load(t: Tensor, places: readonly Place[], flat: readonly Linear[]): string[] {
    flat.forEach((at) => this.#onLoad?.(t, at));
    const guards = places.map(({ guard }) => guard);
    return this.code.read(this.#places.view(t), t, flat, guards);
  }

  #take(node: Node<"take">, places: readonly Place[]): string[] {
    const { axis, indices } = node.attrs;
    const table = { dtype: "int32", shape: [indices.length] } as const;
    const view = this.#places.integers(indices);
    const last = node.inputs[0]!.shape[axis]! - 1;
    const rows = this.code.distinct(
      places.map(({ index }) => index[axis]!),
      `take ${node.id}`,
      (at) => this.code.read(view, table, at),
    );
    return this.#evaluate(
      node.inputs[0]!,
      places.map(({ index, guard }, lane) => ({
        index: index.with(axis, variable(rows[lane]!, 0, last)),
        guard,
      })),
    );
  }

  #gather(node: Node<"gather">, places: readonly Place[]): string[] {
    const [table, indices] = node.inputs as [Tensor, Tensor];
    const rank = indices.shape.length;
    const last = table.shape[0]! - 1;
    const rows = this.#evaluate(
      indices,
      places.map(({ index, guard }) => ({ index: index.slice(0, rank), guard })),
    );
    const safe = this.code.rows(rows, last);
    return this.#evaluate(
      table,
      places.map(({ index, guard }, lane) => ({
        index: [variable(safe[lane]!, 0, last), ...index.slice(rank)],
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
        const one = this.code.condition(index[axis]!, before[axis]!, before[axis]! + n);
        all = all === undefined || one === undefined ? undefined : both(all, one);
      });
      return all;
    });
    const inside = places.flatMap((_, lane) => (conditions[lane] === undefined ? [] : [lane]));
    const values = this.#evaluate(
      x,
      inside.map((lane) => ({
        index: places[lane]!.index.map((i, axis) => plus(i, fixed(-before[axis]!))),
        guard: both(places[lane]!.guard, conditions[lane]!),
      })),
    );
    const results = places.map((_, lane) => {
      const at = inside.indexOf(lane);
      if (at < 0) return filler;
      return conditions[lane] === "" ? values[at]! : `${conditions[lane]} ? ${values[at]} : ${filler}`;
    });
    return conditions.every((c) => !c) ? results : this.code.assign(type, results);
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
      const conditions = places.map(({ index }) => this.code.condition(index[axis]!, first, end));
      const hit = places.flatMap((_, lane) => (conditions[lane] === undefined ? [] : [lane]));
      const values = this.#evaluate(
        part,
        hit.map((lane) => {
          const { index, guard } = places[lane]!;
          return {
            index: index.with(axis, plus(index[axis]!, fixed(-first))),
            guard: both(guard, conditions[lane]!),
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
    return chosen.every((options) => options.length === 1) ? results : this.code.assign(type, results);
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
    return this.code.assign(
      "float",
      places.map((_, lane) => `${a[lane]} * ${b[lane]}`),
    );
  }

  #random(node: Node<"random">, flat: readonly Linear[]): string[] {
    const key = this.at(node.inputs[0]!, [0, 1, 2, 3].map(fixed));
    this.code.scope.kernel.helpers.add("philox");
    const blocks = this.code.distinct(
      flat.map((at) => digit(at, 4, Infinity)),
      `philox ${node.id}`,
      (counters) =>
        counters.map(
          (counter) =>
            this.code.assign(
              "uint4",
              [`philox((unsigned)(${this.code.scope.index(counter)}), ${key.join(", ")})`],
              "w",
            )[0]!,
        ),
    );
    const words = flat.map((at, lane) => {
      const word = digit(at, 1, 4);
      return word.terms.length === 0
        ? `${blocks[lane]}.${"xyzw"[word.constant]}`
        : `word_of(${blocks[lane]}, ${this.code.scope.index(word)})`;
    });
    return this.code.assign(
      "float",
      words.map((word) => `uniform(${word})`),
    );
  }
}

function keyOf(t: Tensor, at: Linear): string {
  return `${t.node.id}.${t.index} ${at.key} `;
}
