/** @file Models against Hugging Face transformers: the same logits for a prompt and for tokens read over the cache. */
import { describe, expect, test } from "vitest";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { onEachDevice } from "./runnerDevices.ts";
import { caseNames, cases, goldenLogits, largestDifference, openCase } from "./goldenModels.ts";

/** Absolute, for logits of up to about 8. */
const TOLERANCE = 1e-4;

onEachDevice((device) => {
  describe.each(caseNames)("%s, %s", (model, name) => {
    test("gives transformers' logits after a prompt, and for each token after it", async () => {
      const golden = await goldenLogits(model, name);
      const width = golden.length / cases.tokens.length;
      const row = (i: number) => golden.subarray(i * width, (i + 1) * width);
      const runner = await openCase(model, name, 1, device);
      try {
        runner.begin(0, { policies: full, maxNewTokens: 20 });
        const logits = await runner.prefill([{ sequence: 0, tokens: cases.tokens.slice(0, cases.prompt) }]);
        expect(largestDifference(logits, row(cases.prompt - 1))).toBeLessThan(TOLERANCE);
        for (let i = cases.prompt; i < cases.tokens.length; i++) {
          expect(
            largestDifference(await runner.decode([{ sequence: 0, token: cases.tokens[i]! }]), row(i)),
          ).toBeLessThan(TOLERANCE);
        }
      } finally {
        await runner.dispose();
      }
    });

    // With these, angles depend on the text's length, so reading token by token is another computation.
    test.skipIf(name === "dynamic" || name === "longrope")(
      "gives transformers' logits for each token of the prompt, read one by one",
      async () => {
        const golden = await goldenLogits(model, name);
        const width = golden.length / cases.tokens.length;
        const runner = await openCase(model, name, 1, device);
        try {
          runner.begin(0, { policies: full, maxNewTokens: cases.prompt });
          for (let i = 0; i < cases.prompt; i++) {
            const token = cases.tokens[i]!;
            const logits =
              i === 0
                ? await runner.prefill([{ sequence: 0, tokens: [token] }])
                : await runner.decode([{ sequence: 0, token }]);
            const wanted = golden.subarray(i * width, (i + 1) * width);
            expect(largestDifference(logits, wanted)).toBeLessThan(TOLERANCE);
          }
        } finally {
          await runner.dispose();
        }
      },
    );
  });
});
