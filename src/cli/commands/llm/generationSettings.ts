/** @file How texts are generated: the user's options, then the model's own defaults, then Pareto's. */
import { ParetoError } from "../../../base/errors.ts";
import type { SamplerOptions } from "../../../llm/generate/sampler.ts";
import type { GenerationDefaults } from "../../../llm/load/generationConfig.ts";

/** Most new tokens where neither the user nor the model says. */
export const NEW_TOKENS = 128;

/** Options of sampling, undefined where they were not given. */
export interface SamplingValues {
  readonly temperature: number | undefined;
  readonly topK: number | undefined;
  readonly topP: number | undefined;
  readonly minP: number | undefined;
  readonly typicalP: number | undefined;
  readonly repetitionPenalty: number | undefined;
  readonly beams: number;
  readonly maxNewTokens: number | undefined;
}

/** What they come to. */
export interface GenerationSettings {
  /** Null for beams, which choose by no sampler. */
  sampling: SamplerOptions | null;
  /** Most new tokens behind a prompt of so many. */
  newTokens: (promptTokens: number) => number;
  /** What of it are the model's defaults, in a line; null for nothing. */
  fromModel: string | null;
}

/** Options that choose among tokens to draw from, as they are written. */
const drawing = { topK: "--top-k", topP: "--top-p", minP: "--min-p", typicalP: "--typical-p" } as const;
const DRAWING = Object.keys(drawing) as (keyof typeof drawing)[];

/** Values that leave all as it is: nobody need be told of them. */
const off = { temperature: Number.NaN, topK: 0, topP: 1, minP: 0, typicalP: 1, repetitionPenalty: 1 };
type Name = keyof typeof off;
const wording: Readonly<Record<Name, string>> = {
  temperature: "temperature",
  topK: "top-k",
  topP: "top-p",
  minP: "min-p",
  typicalP: "typical-p",
  repetitionPenalty: "repetition penalty",
};

/**
 * Refuses options that would be ignored, whatever the model.
 * @throws ParetoError CLI_OPTION
 */
export function refuseIgnored(values: SamplingValues): void {
  const { beams, temperature } = values;
  const given = DRAWING.find((name) => values[name] !== undefined);
  if (temperature === 0 && given) throw nothingDrawn(given, "--temperature 0");
  if (beams === 1) return;
  const other = (["temperature", ...DRAWING, "repetitionPenalty"] as const).find(
    (name) => values[name] !== undefined && !(name === "temperature" && values[name] === 0),
  );
  if (other === undefined) return;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: "--beams",
    message: `beams take the most probable tokens as they are, got ${optionOf(other)} ${values[other]}`,
    fix: "Leave one of them out.",
  });
}

function optionOf(name: Name): string {
  return `--${wording[name].replaceAll(" ", "-")}`;
}

function nothingDrawn(name: keyof typeof drawing, received: string): ParetoError {
  return new ParetoError({
    code: "CLI_OPTION",
    where: drawing[name],
    message: `it chooses among tokens to draw from, and nothing is drawn, got ${received}`,
    fix: "Add a temperature, e.g. --temperature 1, or leave the option out.",
  });
}

/**
 * The settings of a command with a model.
 * @throws ParetoError CLI_OPTION for options that would be ignored
 */
export function generationSettings(
  values: SamplingValues,
  generation: GenerationDefaults | null,
): GenerationSettings {
  const { maxNewTokens = null, maxLength = null } = generation ?? {};
  const room = (promptTokens: number) =>
    maxLength === null ? NEW_TOKENS : Math.max(1, Math.min(NEW_TOKENS, maxLength - promptTokens));
  const newTokens = (promptTokens: number) => values.maxNewTokens ?? maxNewTokens ?? room(promptTokens);
  const told: string[] = [];
  const sampling = values.beams > 1 ? null : samplingOf(values, generation, told);
  if (values.maxNewTokens === undefined) {
    if (maxNewTokens !== null) told.push(`at most ${maxNewTokens} new tokens`);
    else if (maxLength !== null && maxLength > 0) told.push(`at most ${maxLength} tokens with the prompt`);
  }
  if (values.beams > 1 && generation) {
    const { isSampled, sampling: own } = generation;
    const { repetitionPenalty = 1 } = own;
    if (isSampled || repetitionPenalty !== 1)
      told.push("nothing of how it chooses tokens, which beams do not heed");
  }
  const override = "options override it, and --temperature 0 takes the most probable tokens";
  const fromModel =
    told.length === 0 ? null : `by the model's generation_config.json: ${told.join(", ")}; ${override}`;
  return { sampling, newTokens, fromModel };
}

/** @param told receives what the model's own values are, where they count */
function samplingOf(
  values: SamplingValues,
  generation: GenerationDefaults | null,
  told: string[],
): SamplerOptions {
  const own = generation?.sampling ?? {};
  const temperature = values.temperature ?? (generation?.isSampled ? own.temperature! : 0);
  const sampling: Partial<Record<Name, number>> = { temperature };
  const isDrawn = temperature > 0;
  const given = DRAWING.find((name) => values[name] !== undefined);
  if (!isDrawn && given) throw nothingDrawn(given, "no temperature");
  const names: Name[] = [...(isDrawn ? DRAWING : []), "repetitionPenalty"];
  if (isDrawn && values.temperature === undefined) told.push(`${wording.temperature} ${temperature}`);
  for (const name of names) {
    const value = values[name] ?? own[name];
    if (value === undefined) continue;
    sampling[name] = value;
    if (values[name] === undefined && value !== off[name]) told.push(`${wording[name]} ${value}`);
  }
  return sampling;
}
