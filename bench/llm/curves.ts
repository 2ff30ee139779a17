/**
 * @file Steps and prompts by the length of a text (MPT-7B's shape, bf16, one text on one GPU): what a policy saves in
 * decode at each context, and what its scores cost when a prompt is read.
 */
import { full } from "../../src/llm/kv/policies/full.ts";
import { h2o } from "../../src/llm/kv/policies/h2o.ts";
import { keyformer } from "../../src/llm/kv/policies/keyformer.ts";
import { snapkv } from "../../src/llm/kv/policies/snapkv.ts";
import { window } from "../../src/llm/kv/policies/window.ts";
import type { KvPolicy } from "../../src/llm/kv/policy.ts";
import { kvTokenBytes } from "./counts.ts";
import { fill, stepMs, withRunner, type GpuBench } from "./passes.ts";
import { shapeOf } from "./shapes.ts";
import type { BenchRow } from "../harness/rows.ts";

/** What was measured at a context. */
export interface ContextPoint {
  promptTokens: number;
  policy: string;
  /** Share of the prompt that stays; 1 for the full cache. */
  budget: number;
  /** Reading the prompt, scores and eviction included. */
  promptMs: number;
  /** One token after it. */
  stepMs: number;
}

const STEPS = 12;
const BUDGETS = [0.2, 0.5, 0.7];

const policies: Record<string, (share: number) => KvPolicy> = {
  window: (share) => window({ budget: { share: share } }),
  h2o: (share) => h2o({ budget: { share: share } }),
  keyformer: (share) => keyformer({ budget: { share: share }, horizon: 1024 }),
};

/** Measures every context, the longest first, since shorter ones fit in the same memory. */
export async function measureCurves(bench: GpuBench): Promise<ContextPoint[]> {
  const contexts = bench.isSmall ? [32, 64] : [512, 1024, 2048, 4096, 8192, 16384];
  const points: ContextPoint[] = [];
  await withRunner("MPT-7B", bench, 1, async (runner) => {
    const measure = async (promptTokens: number, name: string, budget: number, policy: KvPolicy) => {
      const setting = { prompt: promptTokens, sequences: 1, room: 2 * STEPS };
      // Twice: the first time compiles and takes memory.
      await fill(runner, () => policy, setting);
      const promptMs = 1000 * (await fill(runner, () => policy, setting));
      points.push({ promptTokens, policy: name, budget, promptMs, stepMs: await stepMs(runner, 1, STEPS) });
    };
    for (const context of contexts.toReversed()) {
      await measure(context, "full", 1, full());
      for (const [name, make] of Object.entries(policies)) {
        for (const budget of BUDGETS) await measure(context, name, budget, make(budget));
      }
      await measure(context, "snapkv", 0.5, snapkv({ budget: { share: 0.5 } }));
      bench.log(`context ${context} measured`);
    }
  });
  return points;
}

/** A row for each context; all points are in the results. */
export function curveRows(points: readonly ContextPoint[]): BenchRow[] {
  const contexts = [...new Set(points.map(({ promptTokens }) => promptTokens))].sort((a, b) => a - b);
  return contexts.map((context) => {
    const at = (policy: string, budget: number) =>
      points.find((p) => p.promptTokens === context && p.policy === policy && p.budget === budget)!;
    const [whole, half] = [at("full", 1), at("keyformer", 0.5)];
    return {
      case: "context, MPT-7B",
      size: `1 text of ${context} tokens, Keyformer at 50 %`,
      milliseconds: half.stepMs,
      figure: `${(1000 / half.stepMs).toFixed(0)} tokens/s after ${half.promptMs.toFixed(0)} ms`,
      limit: `${(1000 / whole.stepMs).toFixed(0)} tokens/s after ${whole.promptMs.toFixed(0)} ms, full cache`,
      ratio: whole.stepMs / half.stepMs,
      target: "",
      met: null,
    };
  });
}

/** Lines of a Markdown table of steps and prompts, a line for each context. */
export function contextTable(points: readonly ContextPoint[]): string[] {
  const contexts = [...new Set(points.map(({ promptTokens }) => promptTokens))].sort((a, b) => a - b);
  const columns = points.filter(({ promptTokens }) => promptTokens === contexts[0]);
  const name = ({ policy, budget }: ContextPoint) =>
    policy === "full" ? "full" : `${policy} ${Math.round(100 * budget)} %`;
  const table = (of: (point: ContextPoint) => string, shown: readonly ContextPoint[]) => [
    `| tokens | ${shown.map(name).join(" | ")} |`,
    `| --: |${" --: |".repeat(shown.length)}`,
    ...contexts.map((context) => {
      const cells = shown.map((column) => {
        const same = (p: ContextPoint) => p.policy === column.policy && p.budget === column.budget;
        const point = points.find((p) => p.promptTokens === context && same(p));
        return point ? of(point) : "–";
      });
      return `| ${context.toLocaleString("en-US")} | ${cells.join(" | ")} |`;
    }),
  ];
  const tokenBytes = kvTokenBytes(shapeOf("MPT-7B", false));
  const mebibytes = (entries: number) => Math.round((entries * tokenBytes) / 2 ** 20).toLocaleString("en-US");
  return [
    "Milliseconds of a decode step after a prompt of so many tokens:",
    "",
    ...table((point) => point.stepMs.toFixed(2), columns),
    "",
    "Milliseconds of reading the prompt, with what the policy scores:",
    "",
    ...table(
      (point) => point.promptMs.toFixed(0),
      columns.filter(({ budget }) => budget === 1 || budget === 0.5),
    ),
    "",
    "MiB of keys and values after a prompt and as many decoded tokens, 2 · layers · KV heads · head width · 2 bytes an entry (caches are tested against this):",
    "",
    `| tokens | full | ${BUDGETS.map((budget) => `${Math.round(100 * budget)} %`).join(" | ")} |`,
    `| --: | --: |${" --: |".repeat(BUDGETS.length)}`,
    ...contexts.map((context) => {
      // One entry more than the budget, where the newest token lies until one goes.
      const kept = BUDGETS.map((budget) => mebibytes(Math.floor(context * budget) + 1));
      return `| ${context.toLocaleString("en-US")} + ${context.toLocaleString("en-US")} | ${mebibytes(2 * context)} | ${kept.join(" | ")} |`;
    }),
  ];
}
