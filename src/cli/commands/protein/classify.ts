/** @file `pareto protein classify`: the families of the sequences of a FASTA file, as text for other tools. */
import { availableParallelism } from "node:os";
import { ParetoError } from "../../../base/errors.ts";
import { untilFailure, type Failure } from "../../../base/untilFailure.ts";
import { classifyFasta } from "../../../protein/classify/classifyFasta.ts";
import type { BadRecord, FastaWarning } from "../../../protein/fasta/fasta.ts";
import { DEFAULT_MODEL_PATH, loadProteinNetwork, openProteinModel } from "../../../protein/savedModel.ts";
import { formatCount } from "../../../base/format.ts";
import { decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { computeOptions } from "../../options/compute.ts";
import { flag, listWords, operand, option, text, words } from "../../options/spec.ts";
import type { Output } from "../../output.ts";
import { BrokenPipe } from "../../brokenPipe.ts";
import { keepHeapSmall } from "../../smallHeap.ts";
import { attentionHead, attentionRows, classificationFormats, type FormatName } from "./formats.ts";
import { openTextSink } from "./textSink.ts";

const FORMATS = {
  tsv: "",
  json: "one object a line",
  interpro: "the columns of InterProScan's TSV, the probability as score, which is no E-value",
} as const satisfies Record<FormatName, string>;

const operands = {
  source: operand("source", text, { meaning: "FASTA file, plain or compressed; - is standard input" }),
};
const options = {
  model: option("dir", text, {
    meaning: "Run of `protein train`, or a saved model",
    defaultText: "the 73 families that come with Pareto",
  }),
  top: option("k", wholeNumber({ min: 1, max: 10_000 }), {
    meaning: "How many of the most probable families of each sequence to list",
    default: 1,
  }),
  format: option("name", words(FORMATS), {
    meaning: `Format of the output: ${listWords(FORMATS)}`,
    defaultText: "tsv, with --json json",
  }),
  minProb: option("p", decimal({ above: 0, max: 1 }), {
    meaning: "Probability below which a sequence is unknown; further families of --top below it are left out",
    defaultText: "the model's own threshold, which 95 % of its validation sequences pass",
  }),
  attention: option("file", text, {
    meaning: "TSV file to write of the residues that the network attends to most",
    defaultText: "none",
    writes: "file",
  }),
  out: option("file", text, { meaning: "File to write", defaultText: "stdout", writes: "file" }),
  header: flag("Whether tsv begins with a line of the names of its columns", true),
  batch: option("n", wholeNumber({ min: 1, max: 65_536 }), {
    meaning: "Sequences computed together",
    default: 128,
  }),
  ...computeOptions,
};
type Input = CommandInput<typeof operands & typeof options>;

/** Warnings of records that are shown one by one. */
const SHOWN_WARNINGS = 5;

/** The command. */
export const command = defineCommand({
  summary:
    "Name the family of each sequence of a FASTA file: one line or more a record, in the order of the file. What is longer than the model reads goes through it in windows, and a family's probability is its highest. Records that cannot be read get a line that says why, and a warning; when there are no others, the exit status is 2. Of a source that is damaged or cut off, what stands before that place is written, and the exit status is 2. Give domains, or proteins of one domain: whole proteins of other families are called known at times, the more the longer they are.",
  operands,
  options,
  run: classify,
});

async function classify(out: Output, { values }: Input): Promise<void> {
  const { source } = values;
  if (out.isJson && values.format !== undefined && values.format !== "json" && values.out === undefined) {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: "--format",
      message: `--json writes JSON lines only to stdout, got --format ${values.format}`,
      fix: "Leave --json out, or give --out for the classifications.",
    });
  }
  keepHeapSmall();
  const folder = await openProteinModel(values.model ?? DEFAULT_MODEL_PATH);
  const { config } = folder;
  const threads = Math.min(values.threads, availableParallelism());
  const format = classificationFormats[values.format ?? (out.isJson ? "json" : "tsv")];
  const threshold = values.minProb ?? config.threshold;
  const context = { model: config.name, date: new Date(), threshold, isCut: values.minProb !== undefined };
  const network = await loadProteinNetwork(folder, {
    device: values.device,
    threads,
    batchSize: values.batch,
  });
  const counts = { records: 0, unknown: 0, bad: 0 };
  // What is found before a damaged place is written, to a file too.
  const failure: Failure = { error: null };
  let firstBad: BadRecord | null = null;
  let warnings = 0;
  const onWarning = ({ code, message }: FastaWarning) => {
    if (++warnings <= SHOWN_WARNINGS) out.onEvent({ event: "notice", level: "warning", code, message });
  };
  const hasAttention = network.model.residuesPerStep !== null;
  try {
    if (values.attention !== undefined && !hasAttention) throw withoutAttention(config.network);
    await using sink = await openTextSink(values.out);
    await using track = values.attention === undefined ? null : await openTextSink(values.attention);
    const groups = classifyFasta(network, source, {
      families: config.families,
      length: config.length,
      threshold,
      top: Math.min(values.top, config.families.length),
      attention: track !== null,
      onWarning,
    });
    for await (const group of untilFailure(groups, failure)) {
      // Nothing is written of a source that cannot be read at all.
      let text = counts.records === 0 && values.header ? format.head : "";
      let spans = counts.records === 0 && track ? attentionHead : "";
      for (const record of group) {
        counts.records++;
        text += format.rows(record, context);
        if (record.bad) {
          firstBad ??= record;
          if (++counts.bad <= SHOWN_WARNINGS) {
            const message = `line ${record.line}: ${record.message}`;
            out.onEvent({ event: "notice", level: "warning", code: record.code, message });
          }
          continue;
        }
        if (record.isUnknown) counts.unknown++;
        if (track) spans += attentionRows(record);
      }
      await sink.write(text);
      await track?.write(spans);
      out.onEvent({
        event: "progress",
        task: "classify",
        done: counts.records,
        total: null,
        unit: "sequences",
        rate: null,
      });
    }
    if (failure.error !== null && counts.records === 0) throw failure.error;
    await sink.finish();
    await track?.finish();
  } catch (error) {
    if (!(error instanceof BrokenPipe)) throw error;
    return;
  } finally {
    await network.dispose();
  }
  const unshown = Math.max(0, counts.bad - SHOWN_WARNINGS) + Math.max(0, warnings - SHOWN_WARNINGS);
  if (unshown > 0) {
    const message = `and ${formatCount(unshown)} more warnings like these`;
    out.onEvent({ event: "notice", level: "warning", code: "FASTA_MORE", message });
  }
  const found = `${formatCount(counts.records)} records: ${formatCount(counts.records - counts.bad - counts.unknown)} of a known family, ${formatCount(counts.unknown)} unknown, ${formatCount(counts.bad)} not usable`;
  if (failure.error !== null) {
    out.info(`${found}; the source could not be read further`);
    throw failure.error;
  }
  if (counts.records === 0) throw withoutRecords(source);
  if (firstBad && counts.bad === counts.records) throw withoutUsable(source, counts.bad, firstBad);
  out.info(found);
  out.json({ event: "done", source, model: config.name, threshold, ...counts });
}

function withoutAttention(network: string): ParetoError {
  return new ParetoError({
    code: "PROTEIN_NO_ATTENTION",
    where: "--attention",
    message: `only a network with attention has residues that it attends to, got a model of network ${network}`,
    fix: "Leave --attention out, or use a model of network profamnet.",
  });
}

/** Each record has its line in the output already, and a warning. */
function withoutUsable(source: string, count: number, { line, message, fix }: BadRecord): ParetoError {
  return new ParetoError({
    code: "FASTA_NOTHING_USABLE",
    where: source === "-" ? "standard input" : source,
    message: `not one of ${formatCount(count)} records can be used, got on line ${line} of the first: ${message}`,
    fix,
  });
}

function withoutRecords(source: string): ParetoError {
  return new ParetoError({
    code: "FASTA_NO_RECORD",
    where: source === "-" ? "standard input" : source,
    message: "the source holds no sequence, got no line that is not blank",
    fix: "Give FASTA: a line `>id` and then the residues, for each sequence.",
  });
}
