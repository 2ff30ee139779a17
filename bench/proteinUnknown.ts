/**
 * @file Whether a protein model says `unknown` where it should: prints the share of flagged sequences, and as its last
 * line JSON.
 *
 * Run: `node bench/proteinUnknown.ts SOURCE…`, SOURCE what the model was trained on, families that it left out
 * included. Options: `--model DIR` (the model that comes with Pareto), `--threads N` (2), `--out FILE` for the JSON.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { DEFAULT_MODEL_PATH } from "../src/protein/defaultModel.ts";
import { describeMachine } from "../src/base/environment.ts";
import { commit } from "./machine.ts";
import { measureUnknown } from "./protein/unknown.ts";

/** What is asked for: 80 % of the unknown flagged where 95 % of the known pass. */
const LEAST_FLAGGED = 0.8;
const LEAST_PASSING = 0.95;

const { values, positionals: sources } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: DEFAULT_MODEL_PATH },
    threads: { type: "string", default: "2" },
    out: { type: "string" },
  },
});

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

try {
  if (sources.length === 0) throw new Error("give the FASTA files that the model was trained on, got none");
  const result = await measureUnknown(values.model, sources, Math.max(1, Number(values.threads) || 1));
  const { model, threshold, passing, known, unknown, long, families } = result;
  console.log(`${model}, threshold ${threshold.toFixed(4)}`);
  console.log(
    `known, of the test part: ${percent(passing)} of ${known} pass (asked for: ${percent(LEAST_PASSING)})`,
  );
  for (const { name, sequences, flagged } of unknown)
    console.log(
      `${name}: ${percent(flagged)} of ${sequences} flagged (asked for: ${percent(LEAST_FLAGGED)})`,
    );
  if (long)
    console.log(
      `known ones longer than the network reads, whole: ${percent(long.passing)} of ${long.sequences} pass, ${percent(long.accuracy)} right; reversed ${percent(long.flaggedReversed)} flagged`,
    );
  for (const { name, sequences, flagged } of families)
    console.log(`  ${name}: ${percent(flagged)} of ${sequences}`);
  const { cpu, cores } = describeMachine();
  const machine = { cpu, cores, node: process.version, date: new Date().toISOString(), commit: commit() };
  const json = JSON.stringify({ machine, ...result });
  console.log(json);
  if (values.out !== undefined) await writeFile(values.out, `${json}\n`);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
