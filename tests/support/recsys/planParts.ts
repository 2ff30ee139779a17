/** @file Plans cut into parts, for tests of the executor. */
import type { Rng } from "../../../src/base/rng.ts";
import { selectInputs } from "../../../src/recsys/data/batches/selectInputs.ts";
import type { BatchPlan, PlanPart } from "../../../src/recsys/strategies/batchPlan.ts";

/** Some inputs of a part, with their weights. */
export function partOfInputs({ store, inputs, weights }: PlanPart, selection: Uint32Array): PlanPart {
  const chosen = selectInputs(inputs, selection);
  if (!weights) return { store, inputs: chosen };
  return { store, inputs: chosen, weights: Float32Array.from(selection, (input) => weights[input]!) };
}

/** Cuts the one part of a plan into parts of random inputs, each with one at least if there are enough. */
export function cutPlan(plan: BatchPlan, parts: number, rng: Rng): BatchPlan {
  const [whole] = plan.parts;
  const size = whole!.inputs.size;
  const partOf = Array.from({ length: size }, (_, b) => (b < parts ? b : rng.integer(parts)));
  const selections = Array.from({ length: Math.min(parts, size) }, (_, p) =>
    Uint32Array.from([...partOf.keys()].filter((b) => partOf[b] === p)),
  );
  return { ...plan, parts: selections.map((selection) => partOfInputs(whole!, selection)) };
}

/** Positions 0, 1, … of a batch. */
export function everyInput(size: number): Uint32Array {
  return Uint32Array.from({ length: size }, (_, b) => b);
}
