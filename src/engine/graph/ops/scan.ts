/**
 * @file The loop of the engine: a step function applied along the first axis of sequences, carrying state.
 *
 * The step becomes a sub-graph. Tensors of the outer graph that the step uses are found and passed in as loop
 * constants. The gradient is again a scan, running the other way; what it needs of the forward steps is stored by
 * an extended copy of the forward scan, which the `mergeScans` pass puts in place of the original, so that the
 * forward work is done once.
 */
import { backpropagate } from "../../autodiff.ts";
import { isFloat } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import { formatShape, sameShape } from "../../../base/shape.ts";
import { applyAll, type Node, type OpDefinition, type Tensor, type TensorSpec } from "../node.ts";
import type { ScanBody } from "../opAttrs.ts";
import { reachableNodes, substitute } from "../rewrite.ts";
import { add } from "./elementwise.ts";
import { input, scalarLike } from "./leaf.ts";
import { broadcastTo } from "./movement.ts";

const scanOp: OpDefinition<"scan"> = {
  name: "scan",
  infer: (inputs, { body, length }) => [
    ...body.results.slice(0, body.carries),
    ...body.results.slice(body.carries).map(({ shape, dtype }) => ({ shape: [length, ...shape], dtype })),
  ],
  gradient: scanGradient,
};

function leaf(role: string, { shape, dtype }: TensorSpec): Tensor {
  return input(`scan.${role}`, shape, dtype);
}

function zerosLike(t: TensorSpec & Tensor): Tensor {
  return broadcastTo(scalarLike(t, 0), t.shape);
}

/** What a loop is run over. */
export interface ScanOptions {
  /** Carries before the first step. */
  init: readonly Tensor[];
  /** Sequences `[length, …]`; a step sees one slice `[…]` of each. */
  xs?: readonly Tensor[];
  /** Steps; needed only where there is no sequence. */
  length?: number;
  /** Runs from the last slice to the first; outputs still stand at their slice's place. Defaults to false. */
  reverse?: boolean;
}

/**
 * Runs a step along sequences.
 * @param step from the carries and one slice of each sequence to the new carries (same specs) and this step's outputs
 * @returns the last carries, and each output stacked to `[length, …]`
 * @throws ParetoError `SCAN_LENGTH` when sequences differ in length, `SCAN_CARRY` when a carry changes its spec
 */
export function scan(
  step: (carries: Tensor[], slices: Tensor[]) => { carries: Tensor[]; outputs?: Tensor[] },
  { init, xs = [], length, reverse = false }: ScanOptions,
): { carries: Tensor[]; outputs: Tensor[] } {
  const steps = length ?? xs[0]?.shape[0];
  if (steps === undefined || xs.some((x) => x.shape[0] !== steps)) {
    throw new ParetoError({
      code: "SCAN_LENGTH",
      where: "scan",
      message: `scan: sequences must have one common length, got ${xs.map((x) => formatShape(x.shape)).join(" and ") || "none"}`,
      fix: "Make the first axis of every sequence equal, or pass `length` when there is no sequence.",
    });
  }
  const carries = init.map((t) => leaf("carry", t));
  const slices = xs.map((t) => leaf("slice", { shape: t.shape.slice(1), dtype: t.dtype }));
  const made = step(carries, slices);
  made.carries.forEach((t, i) => {
    const want = init[i];
    if (!want || t.dtype !== want.dtype || !sameShape(t.shape, want.shape)) {
      throw new ParetoError({
        code: "SCAN_CARRY",
        where: "scan",
        message: `scan: carry ${i} must keep the spec it began with, got ${t.dtype} ${formatShape(t.shape)}`,
        fix: "Return as many carries as `init` has, each with its shape and element type.",
      });
    }
  });
  const { body, captured } = closeOver([...made.carries, ...(made.outputs ?? [])], carries, slices);
  const outputs = applyAll(scanOp, [...captured, ...init, ...xs], { body, length: steps, reverse });
  return { carries: outputs.slice(0, init.length), outputs: outputs.slice(init.length) };
}

/** Turns outer tensors that a step uses into loop constants. Scalars and arrays of fixed value stay inside. */
function closeOver(
  results: readonly Tensor[],
  carries: readonly Tensor[],
  slices: readonly Tensor[],
): { body: ScanBody<Tensor>; captured: Tensor[] } {
  const inner = new Set([...carries, ...slices].map((t) => t.node.id));
  const captured = new Set<Tensor>();
  const dependsOnStep = new Set<number>(inner);
  const nodes = reachableNodes(results);
  for (const node of nodes) {
    if (node.inputs.some((t) => dependsOnStep.has(t.node.id))) dependsOnStep.add(node.id);
  }
  const note = (t: Tensor) => {
    if (!dependsOnStep.has(t.node.id) && t.node.op !== "constant") captured.add(t);
  };
  for (const node of nodes) if (dependsOnStep.has(node.id)) node.inputs.forEach(note);
  results.forEach(note);
  const constants = [...captured].map((t) => leaf("constant", t));
  const replacements = new Map([...captured].map((t, i) => [t, constants[i]!]));
  return {
    body: {
      parameters: [...constants, ...carries, ...slices],
      results: substitute(results, replacements),
      constants: constants.length,
      carries: carries.length,
    },
    captured: [...captured],
  };
}

function scanGradient(
  node: Node<"scan">,
  outputGradients: readonly (Tensor | null)[],
): readonly (Tensor | null)[] {
  const { body, length, reverse } = node.attrs;
  const { parameters, results } = body;
  const constants = parameters.slice(0, body.constants);
  const carries = parameters.slice(body.constants, body.constants + body.carries);
  const slices = parameters.slice(body.constants + body.carries);

  // Differentiate one step symbolically.
  const seeds = results.map((t) => (isFloat(t.dtype) ? leaf("seed", t) : null));
  const parameterGradients = backpropagate(results, seeds, parameters);

  // What the backward step reads of the forward step has to be stored along the loop.
  const forward = new Set(reachableNodes(results).map((n) => n.id));
  const known = new Set([...constants, ...slices]);
  const residuals = new Set<Tensor>();
  const note = (t: Tensor) => {
    if (forward.has(t.node.id) && t.node.op !== "constant" && !known.has(t)) residuals.add(t);
  };
  const found = parameterGradients.filter((g) => g !== null);
  for (const n of reachableNodes(found)) if (!forward.has(n.id)) n.inputs.forEach(note);
  found.forEach(note);
  const stored = [...residuals];
  const extended = applyAll(scanOp, node.inputs, {
    body: { ...body, results: [...results, ...stored] },
    length,
    reverse,
  });

  // The backward loop carries dL/dcarry and the sums of dL/dconstant, and reads the stored tensors as sequences.
  const floatCarries = carries.filter((t) => isFloat(t.dtype));
  const floatConstants = constants.filter((t) => isFloat(t.dtype));
  const gradientOf = new Map(parameters.map((t, i) => [t, parameterGradients[i]!]));
  const gradientOfResult = (i: number) => outputGradients[i] ?? zerosLike(node.outputs[i]!);
  const sequenceSeeds = seeds.flatMap((seed, i) => (seed && i >= body.carries ? [i] : []));
  const init = [
    ...carries.flatMap((t, i) => (isFloat(t.dtype) ? [gradientOfResult(i)] : [])),
    ...floatConstants.map((t) => zerosLike(t)),
  ];
  const sequences = [
    ...sequenceSeeds.map(gradientOfResult),
    ...stored.map((_, i) => extended[results.length + i]!),
    ...node.inputs.slice(body.constants + body.carries),
  ];
  const floatSlices = slices.filter((t) => isFloat(t.dtype));
  const outer = new Map(constants.map((t, i) => [t, node.inputs[i]!]));
  const { carries: ends, outputs } = scan(
    (now, parts) => {
      const replacements = new Map<Tensor, Tensor>(outer);
      let part = 0;
      floatCarries.forEach((t, i) => replacements.set(seeds[carries.indexOf(t)]!, now[i]!));
      for (const i of sequenceSeeds) replacements.set(seeds[i]!, parts[part++]!);
      for (const t of stored) replacements.set(t, parts[part++]!);
      for (const t of slices) replacements.set(t, parts[part++]!);
      const wanted = [...floatCarries, ...floatConstants, ...floatSlices].map(
        (t) => gradientOf.get(t) ?? zerosLike(t),
      );
      const values = substitute(wanted, replacements);
      const sums = now.slice(floatCarries.length);
      return {
        carries: values
          .slice(0, now.length)
          .map((g, i) => (i < floatCarries.length ? g : add(sums[i - floatCarries.length]!, g))),
        outputs: values.slice(now.length),
      };
    },
    { init, xs: sequences, length, reverse: !reverse },
  );
  const take = (list: readonly Tensor[], from: readonly Tensor[]) =>
    list.map((t) => (isFloat(t.dtype) ? from[list.filter((u) => isFloat(u.dtype)).indexOf(t)]! : null));
  return [
    ...take(constants, ends.slice(floatCarries.length)),
    ...take(carries, ends.slice(0, floatCarries.length)),
    ...take(slices, outputs),
  ];
}
