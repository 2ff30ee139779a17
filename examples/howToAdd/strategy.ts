/** @file A strategy that wraps another and lets clicks count more. In `src/recsys/strategies/`, with a line in `registry.ts`. */
import { z } from "zod";
import { decimal } from "../../src/base/optionSchemas.ts";
import type { BatchPlan, PlanPart } from "../../src/recsys/strategies/batchPlan.ts";
import type { StrategyParser, StrategySetup, TrainingSegment } from "../../src/recsys/strategies/strategy.ts";
import { definePolicy } from "../../src/run/policies/policy.ts";

/** A part whose clicked inputs count `weight` times as much. */
function weighed(part: PlanPart, weight: number): PlanPart {
  const labels = part.inputs.labels.subarray(0, part.inputs.size);
  const before = part.weights ?? new Float32Array(labels.length).fill(1);
  return { ...part, weights: before.map((value, i) => (labels[i] === 1 ? weight * value : value)) };
}

async function* weighedPlans(plans: AsyncIterable<BatchPlan>, weight: number): AsyncGenerator<BatchPlan> {
  for await (const plan of plans) yield { ...plan, parts: plan.parts.map((part) => weighed(part, weight)) };
}

export const weighClicks = definePolicy({
  kind: "recsys.strategy",
  name: "weigh-clicks",
  summary: "Trains as another strategy does, and lets inputs that were clicked count more.",
  source: "ours",
  options: z.object({
    inner: z.string().default("baseline").describe("The strategy that is wrapped."),
    weight: decimal({ above: 0 }).default(2).describe("How much an input that was clicked counts."),
  }),
  create({ inner, weight }, parse: StrategyParser): StrategySetup {
    const setup = parse(inner);
    return {
      name: "weigh-clicks",
      needsHostRows: setup.needsHostRows,
      async create(context) {
        const strategy = await setup.create(context);
        const next = async (): Promise<TrainingSegment | null> => {
          const segment = await strategy.next();
          return segment && { ...segment, plans: (order) => weighedPlans(segment.plans(order), weight) };
        };
        // Everything else is the inner strategy's own.
        return new Proxy(strategy, {
          get(target, key) {
            if (key === "next") return next;
            if (key === "name") return "weigh-clicks";
            const value: unknown = Reflect.get(target, key, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      },
    };
  },
});
