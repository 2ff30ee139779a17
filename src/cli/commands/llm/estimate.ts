/** @file `pareto llm estimate`: what a language model will take, and what a cache policy changes, before it is loaded. */
import { describeMachine } from "../../../base/environment.ts";
import { ParetoError } from "../../../base/errors.ts";
import { estimate, type Estimate } from "../../../llm/estimate.ts";
import { readModelShape, type ModelShape } from "../../../llm/load/modelConfig.ts";
import { dtypeOf } from "../../../llm/runner/dtype.ts";
import { formatBytes, formatCount } from "../../../base/format.ts";
import { decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { readPolicyText } from "../../../run/policies/policyText.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { kvOption, policyOf, runnerOptions } from "../../options/languageModel.ts";
import { inGroup, operand, option, text } from "../../options/spec.ts";
import { formatTable, type Output } from "../../output.ts";

const operands = {
  model: operand("model", text, { meaning: "Folder of a model, its config.json, or a llama2.c .bin file" }),
};
const options = {
  context: option("n", wholeNumber({ min: 1, max: 2 ** 24 }), {
    meaning: "Tokens of each prompt",
    default: 1024,
  }),
  newTokens: option("n", wholeNumber({ min: 1, max: 2 ** 24 }), {
    meaning: "Tokens to decode after each prompt",
    default: 1024,
  }),
  batch: option("n", wholeNumber({ min: 1, max: 65_536 }), { meaning: "Texts at a time", default: 1 }),
  ...inGroup("KV cache:", { kv: kvOption("Policy to compare with a full cache", "keyformer") }),
  ...runnerOptions,
  bandwidth: option("rate", decimal({ above: 0 }), {
    meaning: "Rate at which memory is read",
    unit: "GB/s",
    defaultText: "what is measured on the cpu, what the driver states on cuda",
  }),
};
type Input = CommandInput<typeof operands & typeof options>;
type Flags = Input["values"];

/** A bandwidth and where it comes from, and the memory that the device has. */
interface DeviceLimits {
  bytesPerSecond: number | null;
  source: string;
  memoryBytes: number | null;
}

/** The command. */
export const command = defineCommand({
  summary:
    "Say what a language model will take in memory, which rate of tokens the memory allows, and from which context a cache policy pays. Reads config.json alone; the model's weights need not be there.",
  operands,
  options,
  run: (out, { values }) => run(out, values.model, values),
});

async function run(out: Output, path: string, values: Flags): Promise<void> {
  const { context, newTokens, batch, device } = values;
  const dtype = dtypeOf(device, values.dtype, "--dtype");
  const policy = policyOf(values, newTokens);
  const shape = await readModelShape(path);
  warnOfLength(out, shape, context + newTokens - 1);
  const limits = await limitsOf(out, values);
  const found = estimate(shape.config, {
    contextTokens: context,
    newTokens,
    batch,
    policies: () => policy,
    device,
    dtype,
    bandwidth: limits.bytesPerSecond,
  });
  out.result(textOf(shape, found, limits, { ...values, dtype }));
  const { bytesPerSecond, source, memoryBytes } = limits;
  out.json({
    event: "done",
    model: shape.name,
    device,
    dtype,
    contextTokens: context,
    newTokens,
    batch,
    kv: values.kv,
    bandwidth: bytesPerSecond,
    bandwidthSource: source,
    memoryBytes,
    ...found,
  });
}

/** A row a figure, a column a cache. */
function textOf(
  { name, config }: ModelShape,
  found: Estimate,
  { bytesPerSecond, source, memoryBytes }: DeviceLimits,
  { context, newTokens, batch, kv, device, dtype }: Omit<Flags, "dtype"> & { dtype: string },
): string {
  const { full, policy, paysFrom } = found;
  const rate = (value: number | null) => (value === null ? "–" : value.toFixed(value < 100 ? 1 : 0));
  const rows: string[][] = [
    ["keys and values", formatBytes(full.kvBytes), formatBytes(policy.kvBytes)],
    ["their positions and scores", formatBytes(full.bookkeepingBytes), formatBytes(policy.bookkeepingBytes)],
    ["caches while prompts are read", formatBytes(full.promptPeakBytes), formatBytes(policy.promptPeakBytes)],
    ["peak of everything", formatBytes(full.peakBytes), formatBytes(policy.peakBytes)],
    ["read by a decode step", formatBytes(full.stepBytes), formatBytes(policy.stepBytes)],
    ["tokens/s at most", rate(full.tokensPerSecond), rate(policy.tokensPerSecond)],
  ];
  const head = [
    `${formatCount(context)} + ${formatCount(newTokens)} tokens × ${formatCount(batch)}`,
    "full",
    kv,
  ];
  const heads =
    config.kvHeads === config.heads
      ? `${config.heads} heads`
      : `${config.heads} heads over ${config.kvHeads}`;
  const lines = [
    `${name}: ${config.layers} layers, ${heads} of ${config.headDim}, ${formatCount(found.parameters)} parameters`,
    `weights ${formatBytes(found.weightBytes)} in ${dtype}, ${formatBytes(found.kvBytesPerToken)} of keys and values a token, some ${formatBytes(found.activationBytes)} to compute with`,
    "",
    formatTable(head, rows),
    "",
    bytesPerSecond === null
      ? `rate unknown: ${source}`
      : `memory is read at ${formatCount(bytesPerSecond / 1e9)} GB/s (${source})`,
  ];
  if (memoryBytes !== null) {
    const fits = (bytes: number) => (bytes <= memoryBytes ? "fits" : "does not fit");
    lines.push(
      `memory of this ${device === "cpu" ? "machine" : "GPU"}: ${formatBytes(memoryBytes)}; a full cache ${fits(full.peakBytes)}, ${kv} ${fits(policy.peakBytes)}`,
    );
  }
  if (readPolicyText(kv, "--kv").name !== "full") {
    const tokens = (n: number | null) =>
      n === null ? "never" : n === 1 ? "at any prompt" : `from prompts of ${formatCount(n)} tokens`;
    lines.push(
      `a decode step reads less than with a full cache, positions and scores included: ${tokens(paysFrom.bytes)}`,
      `and is at least 10 % shorter by the bytes it reads: ${tokens(paysFrom.tenPercent)}`,
    );
  }
  return lines.join("\n");
}

/** What the device's memory does, measured or stated. Where it cannot be known, only the rates are missing. */
async function limitsOf(out: Output, { device, threads, bandwidth }: Flags): Promise<DeviceLimits> {
  const given = bandwidth === undefined ? null : { bytesPerSecond: bandwidth * 1e9, source: "--bandwidth" };
  if (device === "cpu") {
    const { memoryBytes } = describeMachine();
    if (given) return { ...given, memoryBytes };
    out.info(`measuring memory on ${threads} threads`);
    const { readBandwidth } = await import("../../../engine/doctor/readBandwidth.ts");
    return { bytesPerSecond: await readBandwidth(threads), source: "measured", memoryBytes };
  }
  const { CudaContext } = await import("../../../engine/targets/cuda/index.ts");
  try {
    const context = CudaContext.open();
    try {
      const { memoryClockKhz, memoryBusBits, name, memoryBytes } = context.info;
      // Two transfers a clock.
      const stated = (2 * memoryClockKhz * 1e3 * memoryBusBits) / 8;
      return { ...(given ?? { bytesPerSecond: stated, source: `stated for ${name}` }), memoryBytes };
    } finally {
      context.dispose();
    }
  } catch (error) {
    if (!(error instanceof ParetoError)) throw error;
    if (given) return { ...given, memoryBytes: null };
    return { bytesPerSecond: null, source: `${error.message}; give --bandwidth`, memoryBytes: null };
  }
}

/** @throws ParetoError LLM_CONTEXT where the text has more positions than the model has learned */
function warnOfLength(out: Output, { config }: ModelShape, tokens: number): void {
  const { maxPositions, hasLearnedPositions } = config;
  if (tokens <= maxPositions) return;
  if (hasLearnedPositions) {
    throw new ParetoError({
      code: "LLM_CONTEXT",
      where: "--context",
      message: `the model has learned ${maxPositions} positions, got a text of ${tokens}`,
      fix: "Take a shorter --context or fewer --new-tokens.",
    });
  }
  out.onEvent({
    event: "notice",
    level: "warning",
    code: "LLM_CONTEXT",
    message: `the text comes to ${formatCount(tokens)} tokens, but the model was made for ${formatCount(maxPositions)}`,
  });
}
