/**
 * @file The launches that end a prompt or a turn of one sequence in a layer: what of the region stays in the sequence's cache; see
 * `readCalls.ts`.
 */
import { argument, type KernelCall } from "../../../engine/targets/cuda/index.ts";
import type { KvPolicy } from "../../kv/policy.ts";
import { sequenceBuffers } from "./buffers.ts";
import { vectorOf } from "./model.ts";
import { prefillArguments, type PrefillPlaces, type PrefillSizes } from "./prefillCalls.ts";
import { type PrefillKernels, prefillThreads } from "./prefillKernels.ts";

/** Most blocks a KV head of a gather. */
const GATHER_BLOCKS = 64;

/** Brings scores into the form that the policy decides by, once the last piece is scored. */
export function settleCalls<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  { scoring }: KvPolicy,
): KernelCall<P>[] {
  if (scoring.from !== "attention") return [];
  const { settings, sequence, region, rows, scratch } = prefillArguments(kernels, sizes, places);
  const calls: KernelCall<P>[] = [];
  if (scoring.rows === "window") {
    calls.push({
      label: `averages of votes in layer ${sizes.layer}`,
      source: kernels.pool,
      grid: [kernels.model.kvHeads, 1, 1],
      block: [prefillThreads.pool, 1, 1],
      arguments: [
        settings,
        sequence,
        ...region,
        rows,
        argument.write(places.votes, scratch.votes),
        argument.int32(sizes.capacity),
      ],
    });
  }
  if (scoring.heads === "mean" && kernels.model.kvHeads > 1) {
    calls.push({
      label: `mean over heads in layer ${sizes.layer}`,
      source: kernels.meanHeads,
      grid: [Math.ceil(sizes.entries / prefillThreads.settle), 1, 1],
      block: [prefillThreads.settle, 1, 1],
      arguments: [...region, rows],
    });
  }
  return calls;
}

/** Sums a sequence's scores over all layers into `votes`. @param slabs the whole table; the layers' slabs are the regions */
export function sumLayersCall<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  slabs: P,
): KernelCall<P> {
  const { layers, kvHeads } = kernels.model;
  const { sequence, scratch } = prefillArguments(kernels, sizes, places);
  return {
    label: "sums of scores over layers",
    source: kernels.sumLayers,
    grid: [Math.ceil(sizes.entries / prefillThreads.settle), kvHeads, 1],
    block: [prefillThreads.settle, 1, 1],
    arguments: [
      argument.read(slabs, sequenceBuffers(kernels.model, sizes.maxSequences).slabs),
      argument.int32(layers),
      argument.int32(sizes.maxSequences),
      sequence,
      argument.write(places.votes, scratch.votes),
      argument.int32(sizes.capacity),
    ],
  };
}

/**
 * Chooses the entries that stay.
 * @param by the region's own scores; or the sums over layers in `votes`, the region being the first layer's slab, which
 *   counts the new tokens already
 * @param keepsAll only entries that no later query sees go
 */
export function keepCall<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  { by, keepsAll }: { by: "scores" | "votes"; keepsAll: boolean },
): KernelCall<P> {
  const { records, settings, sequence, region, rows, window, scratch } = prefillArguments(
    kernels,
    sizes,
    places,
  );
  return {
    label: `choice of what stays in layer ${sizes.layer}`,
    source: kernels.keep,
    grid: [kernels.model.kvHeads, 1, 1],
    block: [prefillThreads.keep, 1, 1],
    arguments: [
      records,
      settings,
      sequence,
      ...region,
      by === "votes" ? argument.int32(0) : rows,
      argument.read(by === "votes" ? places.votes : places.none, by === "votes" ? scratch.votes : 0),
      argument.int32(sizes.capacity),
      argument.write(places.kept, scratch.kept),
      argument.write(places.keptCounts, scratch.keptCounts),
      argument.int32(sizes.capacity),
      window,
      argument.int32(Number(keepsAll)),
    ],
  };
}

/**
 * Brings the entries that stay, `kept` and `keptCounts`, into the sequence's slab and says how many they are.
 * @param isInPlace the region is the sequence's slab
 * @param isRenumbered the policy numbers entries anew: keys come from `unrotated`
 */
export function gatherCall<P>(
  kernels: PrefillKernels,
  sizes: PrefillSizes,
  places: PrefillPlaces<P>,
  { isInPlace, isRenumbered }: { isInPlace: boolean; isRenumbered: boolean },
): KernelCall<P> {
  const { model } = kernels;
  const { region, optional, slabs, sequence, scratch } = prefillArguments(kernels, sizes, places);
  const threads = isInPlace ? prefillThreads.gatherInPlace : prefillThreads.gather;
  const rowsOfBlock = Math.max(1, Math.floor(threads / (model.headDim / vectorOf(model))));
  const blocks = isInPlace ? 1 : Math.min(GATHER_BLOCKS, Math.ceil(sizes.entries / rowsOfBlock));
  return {
    label: `gather of what stays in layer ${sizes.layer}`,
    source: isInPlace ? kernels.gatherInPlace : kernels.gather,
    grid: [blocks, model.kvHeads, 1],
    block: [threads, 1, 1],
    arguments: [
      ...region,
      optional(isRenumbered && model.rotary ? places.unrotated : null, scratch.unrotated),
      slabs,
      sequence,
      argument.read(places.kept, scratch.kept),
      argument.read(places.keptCounts, scratch.keptCounts),
      argument.int32(sizes.capacity),
    ],
  };
}
