/**
 * @file Policies for FAE's shuffle rate: which percent of the cold and of the hot batches a round takes, 1 to 100. They
 * see the validation loss after each round. Start, steps and limits of the adaptive policy are our choice.
 */
import { z } from "zod";
import { decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { definePolicy } from "../../../run/policies/policy.ts";
import { PolicyRegistry } from "../../../run/policies/registry.ts";

/** Lowest and highest rate, percent. */
const MIN_RATE = 1;
const MAX_RATE = 100;

/** What a policy sees after a round. */
export interface RateStatistics {
  /** Of the round, percent. */
  shuffleRate: number;
  /** Rounds in a row after which the loss had fallen. */
  falls: number;
  /** Validation loss; one that is not finite counts as risen. */
  loss: number;
  /** The last finite loss before; null where there was none. */
  previousLoss: number | null;
}

/** What it answers. */
export interface RateChoice {
  /** Of the next round, percent. */
  shuffleRate: number;
  falls: number;
  action: "hold" | "halve" | "double";
}

/** Chooses shuffle rates. */
export interface ShuffleRatePolicy {
  readonly name: string;
  /** Percent of the first round. */
  readonly start: number;
  /** Whether its choices depend on the loss; where they do not, nothing needs to be evaluated. */
  readonly isAdaptive: boolean;
  after(statistics: RateStatistics): RateChoice;
}

const rate = () => decimal({ min: MIN_RATE, max: MAX_RATE });

const adaptive = definePolicy({
  kind: "recsys.rate",
  name: "adaptive",
  summary: "Halves the rate when the validation loss rose, doubles it after falls in a row.",
  source: "ours, after the scheduler of FAE, arXiv:2103.00686",
  options: z.object({
    start: rate().default(50).describe("Percent of the batches in the first round."),
    patience: wholeNumber({ min: 1 })
      .default(4)
      .describe("Falls of the loss in a row after which the rate doubles."),
  }),
  create: ({ start, patience }): ShuffleRatePolicy => ({
    name: "adaptive",
    start,
    isAdaptive: true,
    after({ shuffleRate, falls, loss, previousLoss }) {
      if (previousLoss === null) return { shuffleRate, falls, action: "hold" };
      if (loss < previousLoss) {
        if (falls + 1 < patience) return { shuffleRate, falls: falls + 1, action: "hold" };
        return { shuffleRate: Math.min(MAX_RATE, 2 * shuffleRate), falls: 0, action: "double" };
      }
      if (loss === previousLoss) return { shuffleRate, falls: 0, action: "hold" };
      return { shuffleRate: Math.max(MIN_RATE, shuffleRate / 2), falls: 0, action: "halve" };
    },
  }),
});

const fixed = definePolicy({
  kind: "recsys.rate",
  name: "fixed",
  summary: "Keeps one rate, whatever the loss does.",
  source: "ours; the authors' code trains all cold batches and then all hot ones, which is a rate of 100",
  options: z.object({ rate: rate().default(50).describe("Percent of the batches in a round.") }),
  create: ({ rate: start }) => fixedRate(start),
});

/** The policy of one rate, percent. */
export function fixedRate(start: number): ShuffleRatePolicy {
  return {
    name: "fixed",
    start,
    isAdaptive: false,
    after: ({ shuffleRate, falls }) => ({ shuffleRate, falls, action: "hold" }),
  };
}

/** The policies. */
export const shuffleRatePolicies = new PolicyRegistry<ShuffleRatePolicy>("recsys.rate", [adaptive, fixed]);
