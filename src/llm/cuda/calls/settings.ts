/**
 * @file What a policy does in one layer of one sequence, as the words that kernels read (`Settings` of `kvSlab.cuh`).
 */
import type { AttentionScoring, KvPolicy, NoiseKind } from "../../kv/policy.ts";
import { SETTINGS_WORDS } from "./buffers.ts";

/** What the settings depend on beside the policy. */
export interface SettingsOptions {
  /** Tokens that the sequence has when its last prompt or turn ends: what a budget is a share of. */
  promptTokens: number;
  /** The step that a policy's temperature is worked out for when it is not given as a line. */
  step: number;
}

/** A number of tokens that is never reached. */
const ENDLESS = 0x7fffffff;

const rowKinds: Record<AttentionScoring["rows"], number> = { accumulate: 1, last: 2, window: 3 };
const noiseKinds: Record<NoiseKind, number> = { none: 0, constant: 1, gumbel: 2, gaussian: 3 };
const reductions = { mean: 0, sum: 1, max: 2 };
const SCORE_KEY_NORM = 4;
const SCORE_RANDOM = 5;
const DECIDES = { layer: 0, allLayers: 1, host: 2 };

/** Whether a policy's temperature changes in a way that only the host knows: its settings are due at each step. */
export function isStepwise({ scoring }: KvPolicy): boolean {
  return scoring.from === "attention" && scoring.temperature.line === undefined;
}

/** The words of a policy, {@link SETTINGS_WORDS} of them. */
export function settingsWords(policy: KvPolicy, { promptTokens, step }: SettingsOptions): Int32Array {
  const words = new Int32Array(SETTINGS_WORDS);
  const floats = new Float32Array(words.buffer);
  const { scoring } = policy;
  if (scoring.from === "keyNorm") words[0] = SCORE_KEY_NORM;
  if (scoring.from === "random") words[0] = SCORE_RANDOM;
  if (scoring.from === "attention") {
    const tau = scoring.temperature(step);
    const { start, end, delta } = scoring.temperature.line ?? { start: tau, end: tau, delta: 0 };
    const window = scoring.rows === "window" ? (scoring.window?.(promptTokens) ?? 1) : 1;
    words.set([
      rowKinds[scoring.rows],
      noiseKinds[scoring.noise],
      Number(scoring.noiseReuse === "per-key"),
      reductions[scoring.groupReduce],
      Number(scoring.heads === "mean"),
    ]);
    floats.set([start, end, delta], 15);
    words[18] = scoring.rows === "accumulate" ? 0 : promptTokens - window;
    words[19] = scoring.pool ?? 1;
    floats[20] = scoring.damping ?? 1;
  }
  const budget = policy.budget(promptTokens);
  words[5] = clamped(budget);
  words[6] = policy.evictEvery;
  words[7] = DECIDES.host;
  if (policy.rule) {
    const { sinks, recent, keep, evict, evictFrom, hasGap } = policy.rule(budget, promptTokens);
    words[7] = policy.scope === "shared" ? DECIDES.allLayers : DECIDES.layer;
    words.set(
      [sinks, recent]
        .map(clamped)
        .concat(Number(keep === "age"), Number(evict === "age"), evictFrom, Number(hasGap)),
      8,
    );
  }
  words[14] = Number(policy.positions === "new");
  return words;
}

function clamped(tokens: number): number {
  return Math.min(tokens, ENDLESS);
}
