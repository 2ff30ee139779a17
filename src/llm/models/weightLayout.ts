/**
 * @file Which states a model's graph reads and how they are made of a file's tensors: each tensor a state of its own,
 * or, merged, those that multiply the same rows stacked and all matrices `[outputs, inputs]`.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { matmul } from "../../engine/graph/ops/contraction.ts";
import { add, cast } from "../../engine/graph/ops/elementwise.ts";
import { state } from "../../engine/graph/ops/leaf.ts";
import { concat, slice } from "../../engine/graph/ops/movement.ts";
import type { Shape } from "../../base/shape.ts";
import type { Decoder, DecoderLayout, Projection, StateSource } from "./decoder.ts";

/** What a family says of its tensors. */
export interface FamilyTensors {
  readonly tensors: ReadonlyMap<string, Shape>;
  /** Linear layers, named without `.weight`, that multiply the same rows. */
  readonly stacks?: readonly (readonly string[])[];
  /** Linear layers whose matrices are stored `[inputs, outputs]`. */
  readonly turned?: ReadonlySet<string>;
}

/** The name of linear layers stacked: the first one's, with the last parts of the others'. */
function stackName(layers: readonly string[]): string {
  return layers.map((name, i) => (i === 0 ? name : name.slice(name.lastIndexOf(".") + 1))).join("+");
}

/** Queries, keys and values, and all of them side by side where one product gives them so. */
export interface WholeProjection extends Projection {
  whole: Tensor | null;
}

/** The two ways in which a decoder gives a projection. */
export function projections(
  projection: (layer: number, hidden: Tensor) => WholeProjection,
): Pick<Decoder, "project" | "projectAll"> {
  return {
    project: (layer, hidden) => {
      const { q, k, v } = projection(layer, hidden);
      return { q, k, v };
    },
    projectAll: (layer, hidden) => {
      const { q, k, v, whole } = projection(layer, hidden);
      return whole ?? concat([q, k, v], 1);
    },
  };
}

/** A model's states, and its linear layers over them. */
export class WeightLayout {
  readonly dtype: Decoder["dtype"];
  readonly states: ReadonlyMap<string, StateSource>;
  readonly #isMerged: boolean;
  readonly #family: FamilyTensors;

  constructor(family: FamilyTensors, { dtype = "float32", isMerged = false }: DecoderLayout = {}) {
    this.dtype = dtype;
    this.#isMerged = isMerged;
    this.#family = family;
    this.states = isMerged ? mergedStates(family) : ownStates(family);
  }

  /** A state that is a tensor of the file as it is. */
  tensor(name: string): Tensor {
    return state(name, this.states.get(name)!.shape, this.dtype);
  }

  /** Whether there is such a tensor. */
  has(name: string): boolean {
    return this.#family.tensors.has(name);
  }

  /** x·Wᵀ + bias, where the layer has one. @param outDtype of the result, float32 or that of the rows */
  linear(name: string, x: Tensor, outDtype: Decoder["dtype"] = this.dtype): Tensor {
    const transposeB = this.#isMerged || !this.#family.turned?.has(name);
    return this.#product(name, x, transposeB, outDtype);
  }

  /** What several layers of one stack give for the same rows, and side by side where one product gives it so. */
  stacked(names: readonly string[], x: Tensor): { parts: Tensor[]; whole: Tensor | null } {
    if (!this.#isMerged) return { parts: names.map((name) => this.linear(name, x)), whole: null };
    const all = this.#product(stackName(names), x, true, this.dtype);
    let end = 0;
    const parts = names.map((name) => {
      const start = end;
      end += this.#family.tensors.get(`${name}.weight`)![0]!;
      return slice(all, { 1: [start, end] });
    });
    return { parts, whole: all };
  }

  #product(name: string, x: Tensor, transposeB: boolean, outDtype: Decoder["dtype"]): Tensor {
    const product = matmul(x, this.tensor(`${name}.weight`), { transposeB, outDtype });
    const bias = `${name}.bias`;
    if (!this.states.has(bias)) return product;
    return add(product, outDtype === this.dtype ? this.tensor(bias) : cast(this.tensor(bias), outDtype));
  }
}

function ownStates({ tensors }: FamilyTensors): Map<string, StateSource> {
  return new Map([...tensors].map(([name, shape]) => [name, { shape, from: [name], isTurned: false }]));
}

function mergedStates({ tensors, stacks = [], turned }: FamilyTensors): Map<string, StateSource> {
  const states = new Map<string, StateSource>();
  const stackOf = new Map(stacks.flatMap((stack) => stack.map((name) => [name, stack] as const)));
  for (const [name, shape] of tensors) {
    const dot = name.lastIndexOf(".");
    const [layer, part] = [name.slice(0, dot), name.slice(dot + 1)];
    const stack = stackOf.get(layer);
    if (stack) {
      const from = stack.map((member) => `${member}.${part}`);
      const outputs = from.reduce((sum, member) => sum + tensors.get(member)![0]!, 0);
      states.set(`${stackName(stack)}.${part}`, {
        shape: [outputs, ...shape.slice(1)],
        from,
        isTurned: false,
      });
    } else {
      const isTurned = part === "weight" && (turned?.has(layer) ?? false);
      states.set(name, { shape: isTurned ? shape.toReversed() : shape, from: [name], isTurned });
    }
  }
  return states;
}
