/**
 * @file What policies keep on whole models, against an oracle that shares no code: transformers' models with masks and
 * scores in NumPy (`golden/llm/makeKeepSets.py`).
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { KvDecision } from "../../../src/llm/kv/policy.ts";
import { h2o } from "../../../src/llm/kv/policies/h2o.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import { cases, largestDifference, openCase } from "./goldenModels.ts";
import { onEachDevice } from "./runnerDevices.ts";

interface KeepSet {
  /** After the prompt, by layer and KV head. */
  kept: number[][][];
  /** By step, layer and KV head. */
  dropped: number[][][];
  /** Of the last step. */
  logits: number[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../../golden/llm/keepSets.json", import.meta.url), "utf8"),
) as {
  budget: number;
  seed: number;
  recent: Record<string, number>;
  models: Record<string, Record<string, KeepSet>>;
};

const horizon = cases.tokens.length - cases.prompt;
const sizesOf = (name: string) => ({
  budget: { count: golden.budget },
  recent: { count: golden.recent[name]! },
});
const policies: Record<string, () => KvPolicy> = {
  keyformer: () => keyformer({ ...sizesOf("keyformer"), horizon }),
  "keyformer without noise": () =>
    keyformer({ ...sizesOf("keyformer without noise"), horizon, noise: "none" }),
  h2o: () => h2o(sizesOf("h2o")),
};
const named = Object.entries(golden.models).flatMap(([model, found]) =>
  Object.entries(found).map(([policy, keepSet]) => ({ model, policy, keepSet })),
);

onEachDevice((device) => {
  describe.each(named)("$model, $policy", ({ model, policy, keepSet }) => {
    test("keeps and drops in every layer and head what the oracle does", async () => {
      const runner = await openCase(model, "default", 1, device);
      try {
        const decisions: KvDecision[] = [];
        runner.begin(0, {
          policies: policies[policy]!,
          maxNewTokens: horizon,
          seed: golden.seed,
          onDecision: (decision) => decisions.push(decision),
        });
        await runner.prefill([{ sequence: 0, tokens: cases.tokens.slice(0, cases.prompt) }]);
        let logits: Float32Array = new Float32Array();
        for (const token of cases.tokens.slice(cases.prompt))
          logits = await runner.decode([{ sequence: 0, token }]);

        const { layers, kvHeads } = runner.config;
        const decided = (step: number, kind: KvDecision["kind"]) =>
          Array.from({ length: layers }, (_, layer) =>
            Array.from({ length: kvHeads }, (_, kvHead) => {
              const all = decisions.filter(
                (d) => d.step === step && d.layer === layer && d.kvHead === kvHead && d.kind === kind,
              );
              expect(all).toHaveLength(1);
              return all[0]!.positions;
            }),
          );
        expect(decided(0, "keep")).toEqual(keepSet.kept);
        for (const [i, dropped] of keepSet.dropped.entries())
          expect(decided(i + 1, "evict"), `step ${i + 1}`).toEqual(
            dropped.map((heads) => heads.map((position) => [position])),
          );
        expect(largestDifference(logits, keepSet.logits)).toBeLessThan(1e-4);
      } finally {
        await runner.dispose();
      }
    });
  });
});
