/** @file Small click logs for FAE's tests: explicit bags, or random ones with empty and repeated ids. */
import type { ClickBatch, Lookups } from "../../../src/recsys/data/batches/clickBatch.ts";
import type { EncodedLayout } from "../../../src/recsys/data/encode/encodedLayout.ts";
import { Rng } from "../../../src/base/rng.ts";
import type { ClickSource } from "../../../src/recsys/strategies/fae/clickSource.ts";

/** Bags of inputs: `bags[input][table]` are row ids. */
export type Bags = number[][][];

/** Table-major lookups of some inputs; without offsets when `oneHot`. */
export function lookupsOf(bags: Bags, tables: number, oneHot = false): Lookups {
  const ids: number[] = [];
  const offsets = [0];
  for (let table = 0; table < tables; table++) {
    for (const input of bags) {
      ids.push(...input[table]!);
      offsets.push(ids.length);
    }
  }
  return {
    size: bags.length,
    tables,
    ids: Int32Array.from(ids),
    offsets: oneHot ? null : Int32Array.from(offsets),
  };
}

/** The bags of a batch's lookups: the inverse of {@link lookupsOf}. */
export function bagsOf({ ids, offsets, size, tables }: Lookups): Bags {
  return Array.from({ length: size }, (_, b) =>
    Array.from({ length: tables }, (_, table) => {
      const bag = table * size + b;
      return offsets === null ? [ids[bag]!] : [...ids.subarray(offsets[bag]!, offsets[bag + 1]!)];
    }),
  );
}

/** A log held as bags; label i is i mod 2, dense input i is i + 0.5. */
export interface BagLog extends ClickSource {
  bags: Bags;
  layout: EncodedLayout;
}

/** A log of the given bags. */
export function bagLog(bags: Bags, cardinalities: number[], multiHot = true): BagLog {
  return {
    rows: bags.length,
    bags,
    layout: { dense: 1, tables: cardinalities.length, cardinalities, multiHot },
    async *batches({ batchSize }) {
      for (let start = 0; start < bags.length; start += batchSize) {
        const part = bags.slice(start, start + batchSize);
        const batch: ClickBatch = {
          size: part.length,
          dense: Float32Array.from(part, (_, b) => start + b + 0.5),
          lookups: lookupsOf(part, cardinalities.length, !multiHot),
          labels: Float32Array.from(part, (_, b) => (start + b) % 2),
          rows: Float64Array.from(part, (_, b) => start + b),
        };
        yield batch;
      }
    },
  };
}

/** Random bags of 0 to 3 ids, small ids being the more likely; of exactly one id when `oneHot`. */
export function randomBags(inputs: number, cardinalities: number[], seed: number, oneHot = false): Bags {
  const rng = new Rng(seed);
  return Array.from({ length: inputs }, () =>
    cardinalities.map((size) =>
      Array.from({ length: oneHot ? 1 : rng.integer(4) }, () => Math.floor(size * rng.uniform() ** 3)),
    ),
  );
}
