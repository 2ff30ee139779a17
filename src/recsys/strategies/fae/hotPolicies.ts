/** @file The policies that choose hot rows, by name, with their options. */
import { z } from "zod";
import { byteSize, decimal, onOff } from "../../../base/optionSchemas.ts";
import { definePolicy } from "../../../run/policies/policy.ts";
import { PolicyRegistry } from "../../../run/policies/registry.ts";
import type { HotPolicy } from "./hotPolicy.ts";
import { ThresholdPolicy } from "./threshold.ts";
import { TopKPolicy } from "./topK.ts";

/** What a policy is made with beside its options. */
export interface HotPolicyContext {
  /** Of its samples. */
  seed: number;
}

const threshold = definePolicy({
  kind: "recsys.hot",
  name: "threshold",
  summary: "Rows with at least a share of their table's lookups, the smallest share that the budget allows.",
  source: "ours, after the calibration of FAE, arXiv:2103.00686",
  options: z.object({
    share: decimal({ above: 0, max: 1 })
      .optional()
      .describe("Share of a table's lookups from which a row is hot; searched under the budget if left out."),
    wholeTables: byteSize()
      .default(2 ** 20)
      .describe(
        "Size up to which a table is hot as a whole, if all such tables take half of the budget at most.",
      ),
    fill: onOff().default(false).describe("Whether room that is left goes to the next most used rows."),
  }),
  create: ({ share, wholeTables, fill }, { seed }: HotPolicyContext): HotPolicy =>
    new ThresholdPolicy({
      seed,
      smallTableBytes: wholeTables,
      fill,
      ...(share !== undefined && { threshold: share }),
    }),
});

const topK = definePolicy({
  kind: "recsys.hot",
  name: "topk",
  summary: "The most used rows of all tables together, as many as the budget holds.",
  source: "the profiler in the FAE authors' code",
  options: z.object({}),
  create: (_: object, __: HotPolicyContext): HotPolicy => new TopKPolicy(),
});

/** The policies. */
export const hotPolicies = new PolicyRegistry<HotPolicy, HotPolicyContext>("recsys.hot", [threshold, topK]);
