/**
 * @file The kernels over evicting caches against the host: outputs, what stays and its scores, for every policy, position
 * scheme and element type, over prompts, pieces, turns and decoding. Skipped without a GPU.
 */
import { describe, expect, it, test } from "vitest";
import type { CudaDevice } from "../../../src/engine/targets/cuda/index.ts";
import {
  full,
  h2o,
  keyformer,
  type KeyformerOptions,
  knorm,
  type KvPolicy,
  random,
  snapkv,
  streaming,
  tova,
  window,
} from "../../../src/llm/index.ts";
import type { DecoderConfig } from "../../../src/llm/models/decoder.ts";
import { attentionConfig as configOf } from "../../support/llm/attentionConfig.ts";
import { tryOpenDevice } from "../../support/engine/devices.ts";
import { runOnDevice } from "../../support/llm/kvDeviceSequence.ts";
import {
  projectionsOf,
  runOnHost,
  type TextCase,
  type TextEvent,
  type TextState,
} from "../../support/llm/kvSequences.ts";

const opened = await tryOpenDevice("cuda");

const tokens = (count: number) => ({ count: count });
const budget = tokens(20);
const kf = (options: Partial<KeyformerOptions> = {}) => keyformer({ budget, horizon: 12, ...options });

const PROMPT_AND_STEPS: TextEvent[] = [{ read: 45 }, { steps: 6 }];
const EVERYTHING: TextEvent[] = [
  { read: 20, more: true },
  { read: 23 },
  { steps: 3 },
  { read: 7, more: true },
  { read: 4 },
  { steps: 3 },
];

const policies: Record<string, () => KvPolicy> = {
  full,
  window: () => window({ budget }),
  streaming: () => streaming({ budget }),
  h2o: () => h2o({ budget }),
  keyformer: () => kf(),
  tova: () => tova({ budget }),
  snapkv: () => snapkv({ budget }),
  knorm: () => knorm({ budget }),
  random: () => random({ budget }),
};

const options: Record<string, Partial<KeyformerOptions>> = {
  "gaussian noise": { noise: "gaussian" },
  "constant noise": { noise: "constant" },
  "noise of keys": { noiseReuse: "per-key" },
  "damped scores": { damping: 0.9 },
  "a falling temperature": { tauInit: 3, tauEnd: 1.5 },
  "layers that decide together": { scope: "shared" },
  "new positions": { positions: "new" },
  "the group's sum": { groupReduce: "sum" },
  "the group's greatest": { groupReduce: "max" },
  sinks: { sinks: 3 },
  "eviction at intervals": { evictEvery: 3 },
  "the authors' mask": { mode: "reference-mask" },
};

const SLOPES = [0.25, 0.0625, 0.015625, 0.00390625];
const noRotary = { rotary: null };
const models: Record<string, Partial<DecoderConfig>> = {
  "one query head a KV head": { kvHeads: 4 },
  "six query heads a KV head": { heads: 6, kvHeads: 1 },
  "interleaved pairs of part of a head": {
    rotary: { dim: 8, theta: 10_000, isInterleaved: true, scaling: { kind: "default" } },
  },
  ALiBi: { ...noRotary, alibiSlopes: SLOPES },
  "no positions": noRotary,
  "a sliding window": { slidingWindow: () => 24 },
  "heads of 8": { headDim: 8 },
  "heads of 80": { headDim: 80, ...noRotary },
  "heads of 256": { headDim: 256 },
};

interface CheckOptions {
  dtype?: TextCase["dtype"];
  copies?: boolean;
  blocks?: number;
  scoreTolerance?: number;
}

/** How far apart outputs and scores may be, relative to the largest. */
const tolerance = { float32: 2e-5, float16: 4e-3, bfloat16: 3e-2 };

function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  within: number,
  what: string,
): void {
  expect(actual.length, what).toBe(expected.length);
  let largest = 1e-3;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i]! - expected[i]!) <= within * largest)) {
      expect.fail(`${what}: element ${i} is ${actual[i]}, not ${expected[i]} (largest ${largest})`);
    }
  }
}

function expectSame(
  device: TextState[],
  host: TextState[],
  dtype: TextCase["dtype"],
  scoreTolerance: number,
): void {
  expect(device.length).toBe(host.length);
  for (const [event, { outputs, entries }] of host.entries()) {
    for (const [layer, output] of outputs.entries()) {
      const what = `event ${event}, layer ${layer}`;
      expectClose(device[event]!.outputs[layer]!, output, tolerance[dtype], `output of ${what}`);
      for (const [head, { positions, scores }] of entries?.[layer]!.entries() ?? []) {
        const own = device[event]!.entries![layer]![head]!;
        expect(own.positions, `kept in ${what}, head ${head}`).toEqual(positions);
        expectClose(own.scores, scores, scoreTolerance, `scores of ${what}, head ${head}`);
      }
    }
  }
}

if ("missing" in opened) {
  test.skip(`skipped: ${opened.missing}`);
} else {
  const device = opened as CudaDevice;

  async function check(
    config: DecoderConfig,
    policy: KvPolicy,
    events: readonly TextEvent[],
    { dtype = "float32", copies = false, blocks, scoreTolerance = tolerance[dtype] }: CheckOptions = {},
  ): Promise<void> {
    const text: TextCase = { config, dtype, policy, seed: 1234, stream: 7 };
    const projectionOf = projectionsOf(text, 5, 4);
    const host = runOnHost(text, events, projectionOf);
    expectSame(
      await runOnDevice(device, text, events, projectionOf, { copies, blocks }),
      host,
      dtype,
      scoreTolerance,
    );
  }

  describe("a text's cache by kernels", () => {
    for (const [name, policy] of Object.entries(policies)) {
      it(`follows ${name} through pieces, turns and decoding`, () => check(configOf(), policy(), EVERYTHING));
    }
    for (const [name, own] of Object.entries(options)) {
      it(`follows Keyformer with ${name}`, () => check(configOf(), kf(own), EVERYTHING));
    }
    for (const [name, own] of Object.entries(models)) {
      it(`follows Keyformer in a model with ${name}`, () => check(configOf(own), kf(), EVERYTHING));
    }
    it("numbers entries anew with ALiBi", () =>
      check(configOf({ ...noRotary, alibiSlopes: SLOPES }), kf({ positions: "new" }), EVERYTHING));
    it("numbers entries anew with interleaved pairs", () =>
      check(
        configOf({ rotary: { dim: 8, theta: 10_000, isInterleaved: true, scaling: { kind: "default" } } }),
        kf({ positions: "new" }),
        EVERYTHING,
      ));
    for (const [name, policy] of [
      ["tova", tova({ budget })],
      ["streaming", streaming({ budget })],
    ] as const) {
      it(`follows ${name} in a model with a sliding window`, () =>
        check(configOf({ slidingWindow: () => 24 }), policy, EVERYTHING));
    }
    for (const [name, own] of Object.entries({ "": {}, " of all layers": { scope: "shared" } } as const)) {
      it(`goes on in two sequences at once, bit by bit the same, by decisions${name}`, () =>
        check(configOf(), kf(own), PROMPT_AND_STEPS, { copies: true }));
    }
    for (const [name, policy, config] of [
      ["each layer", kf({ evictEvery: 2 }), {}],
      ["all layers", kf({ scope: "shared" }), {}],
      ["the newest query, with a sliding window", tova({ budget }), { slidingWindow: () => 24 }],
      ["new positions", kf({ positions: "new" }), {}],
    ] as const) {
      it(`leaves a policy without a rule to the host: ${name}`, () => {
        const { rule: _, ...own } = policy;
        return check(configOf(config), own, EVERYTHING);
      });
    }
    // Two rows of two KV heads.
    for (const [name, blocks] of [
      ["of a chunk each", undefined],
      ["of several chunks", 20],
      ["a head", 4],
    ] as const) {
      it(`splits long caches among blocks ${name}`, () =>
        check(
          configOf(),
          kf({ budget: tokens(350) }),
          [{ read: 400 }, { steps: 3 }],
          blocks === undefined ? {} : { blocks },
        ));
    }
    it("attends to all of a long cache of several texts, each by one block", () =>
      check(configOf({ ...noRotary, alibiSlopes: SLOPES }), full(), [{ read: 300 }, { steps: 22 }], {
        blocks: 4,
        copies: true,
      }));
    it("numbers entries of a long cache anew", () =>
      check(configOf(), kf({ budget: tokens(300), positions: "new" }), [{ read: 330 }, { steps: 3 }], {
        blocks: 12,
      }));
    for (const dtype of ["bfloat16", "float16"] as const) {
      for (const headDim of [16, 64, 128, 256]) {
        it(`attends in ${dtype} with heads of ${headDim}`, () =>
          check(configOf({ headDim }), window({ budget }), [{ read: 150 }, { steps: 3 }, { read: 40 }], {
            dtype,
          }));
      }
      // Without rotation nothing is rounded before the scores, so they are those of float32.
      const alibi = { headDim: 64, ...noRotary, alibiSlopes: SLOPES };
      for (const [name, policy, config] of [
        ["Keyformer", kf({ budget: tokens(70) }), alibi],
        ["Keyformer's greatest of the group", kf({ budget: tokens(70), groupReduce: "max" }), alibi],
        [
          "Keyformer with six query heads a KV head",
          kf({ budget: tokens(70) }),
          { heads: 6, kvHeads: 1, ...noRotary },
        ],
        ["Keyformer with heads of 256", kf({ budget: tokens(70) }), { headDim: 256, ...noRotary }],
        ["Keyformer with new positions", kf({ budget: tokens(70), positions: "new" }), alibi],
        ["SnapKV", snapkv({ budget: tokens(70) }), alibi],
        ["TOVA in a sliding window", tova({ budget: tokens(70) }), { ...alibi, slidingWindow: () => 90 }],
      ] as const) {
        it(`scores ${name} in ${dtype} as in float32`, () => {
          const events = [{ read: 100, more: true }, { read: 67 }, { steps: 2 }, { read: 75 }, { steps: 1 }];
          return check(configOf(config), policy, events, { dtype, scoreTolerance: 2e-5 });
        });
      }
      it(`scores in ${dtype}`, () =>
        check(configOf({ headDim: 64 }), kf({ budget: tokens(80) }), PROMPT_AND_STEPS, { dtype }));
    }
  });
}
