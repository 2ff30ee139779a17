/** @file `pareto protein classify`: the families of the sequences of a FASTA file, as text for other tools. */
import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { ParetoError } from "../../../base/errors.ts";
import { classifyFasta } from "../../../protein/classify/classifyFasta.ts";
import { DEFAULT_MODEL_PATH } from "../../../protein/defaultModel.ts";
import type { BadRecord, FastaWarning } from "../../../protein/fasta/fasta.ts";
import { loadProteinNetwork, openProteinModel } from "../../../protein/savedModel.ts";
import { formatCount } from "../../../base/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { deviceOption, threadsOption, type ComputeFlags } from "../../options/compute.ts";
import type { Output } from "../../output.ts";
import { BrokenPipe } from "../../brokenPipe.ts";
import { keepHeapSmall } from "../../smallHeap.ts";
import { oneOf, positiveNumber, wholeNumber } from "../../options/values.ts";
import { attentionHead, attentionRows, classificationFormats, type FormatName } from "./formats.ts";
import { openTextSink } from "./textSink.ts";

interface Flags extends CommonFlags, ComputeFlags {
  model?: string;
  top: number;
  format?: FormatName;
  minProb?: number;
  attention?: string;
  out?: string;
  header: boolean;
  batch: number;
}

/** Warnings of records that are said one by one. */
const SHOWN_WARNINGS = 5;

/** The command. */
export function command(): Command {
  return newCommand(
    "classify",
    "Name the family of each sequence of a FASTA file: one line or more a record, in the order of the file. What is longer than the model reads goes through it in windows, and a family's probability is its highest. Records that cannot be read get a line that says why, and a warning; when there are no others, the exit status is 2.",
  )
    .argument("<source>", "a FASTA file, plain or compressed; - is standard input")
    .option(
      "--model <dir>",
      "a run of `protein train`, or a saved model (default: the 73 families that come with Pareto)",
    )
    .option("--top <k>", "the k most probable families of each sequence", wholeNumber("--top", 1, 10_000), 1)
    .option(
      "--format <name>",
      "tsv; json, one object a line; or interpro, the columns of InterProScan's TSV with the probability as score, which is no E-value (default: tsv)",
      oneOf("--format", ["tsv", "json", "interpro"]),
    )
    .option(
      "--min-prob <p>",
      "the probability below which a sequence is unknown; further families of --top below it are left out (default: the model's own threshold, which 95 % of its validation sequences pass or more)",
      positiveNumber("--min-prob", 1),
    )
    .option("--attention <file>", "write the residues that the network looks at most, as TSV")
    .option("--out <file>", "write here and not to stdout")
    .option("--no-header", "tsv without its first line, the names of the columns")
    .option("--batch <n>", "sequences computed together", wholeNumber("--batch", 1, 65_536), 128)
    .addOption(threadsOption())
    .addOption(deviceOption())
    .action((source: string, flags: Flags) => withOutput(flags, (out) => classify(out, source, flags)));
}

async function classify(out: Output, source: string, flags: Flags): Promise<void> {
  if (flags.json && flags.format !== undefined && flags.format !== "json" && flags.out === undefined) {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: "--format",
      message: `--json writes JSON lines only to stdout, got --format ${flags.format}`,
      fix: "Leave --json out, or give --out for the classifications.",
    });
  }
  keepHeapSmall();
  const folder = await openProteinModel(flags.model ?? DEFAULT_MODEL_PATH);
  const { config } = folder;
  const threads = Math.min(flags.threads, availableParallelism());
  const format = classificationFormats[flags.format ?? (flags.json ? "json" : "tsv")];
  const threshold = flags.minProb ?? config.threshold;
  const context = { model: config.name, date: new Date(), threshold, isCut: flags.minProb !== undefined };
  const network = await loadProteinNetwork(folder, { device: flags.device, threads, batchSize: flags.batch });
  const counts = { records: 0, unknown: 0, bad: 0 };
  let firstBad: BadRecord | null = null;
  let warnings = 0;
  const onWarning = ({ code, message }: FastaWarning) => {
    if (++warnings <= SHOWN_WARNINGS) out.onEvent({ event: "notice", level: "warning", code, message });
  };
  const hasAttention = network.model.residuesPerStep !== null;
  try {
    if (flags.attention !== undefined && !hasAttention) throw withoutAttention(config.network);
    await using sink = await openTextSink(flags.out);
    await using track = flags.attention === undefined ? null : await openTextSink(flags.attention);
    const groups = classifyFasta(network, source, {
      families: config.families,
      length: config.length,
      threshold,
      top: Math.min(flags.top, config.families.length),
      attention: track !== null,
      onWarning,
    });
    for await (const group of groups) {
      // Nothing is written of a source that cannot be read at all.
      let text = counts.records === 0 && flags.header ? format.head : "";
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
  if (counts.records === 0) throw withoutRecords(source);
  if (firstBad && counts.bad === counts.records) throw withoutUsable(source, counts.bad, firstBad);
  out.info(
    `${formatCount(counts.records)} records: ${formatCount(counts.records - counts.bad - counts.unknown)} of a known family, ${formatCount(counts.unknown)} unknown, ${formatCount(counts.bad)} not usable`,
  );
  out.json({ event: "done", source, model: config.name, threshold, ...counts });
}

function withoutAttention(network: string): ParetoError {
  return new ParetoError({
    code: "PROTEIN_NO_ATTENTION",
    where: "--attention",
    message: `only a network with attention can say where it looks, got a model of network ${network}`,
    fix: "Leave --attention out, or use a model of network profamnet.",
  });
}

/** Each record has its line in the output already, and a warning. */
function withoutUsable(source: string, count: number, { line, message, fix }: BadRecord): ParetoError {
  return new ParetoError({
    code: "FASTA_NOTHING_USABLE",
    where: source === "-" ? "standard input" : source,
    message: `not one of ${formatCount(count)} records can be used, the first because of line ${line}: ${message}`,
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
