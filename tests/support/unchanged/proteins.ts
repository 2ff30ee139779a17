/** @file Small protein networks, trained at a stretch and stopped and resumed; and the shipped one, classifying. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ProteinModelName } from "../../../src/protein/models/models.ts";
import type { ProteinSettings } from "../../../src/protein/training/settings.ts";
import { trainProtein } from "../../../src/protein/training/trainProtein.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { numbers } from "./numbers.ts";
import { hashOf, hashTensors, type TensorsHash } from "./tensorHash.ts";

/** What a run came to. */
export interface ProteinRun {
  test: unknown;
  validation: unknown;
  threshold: number | null;
  thresholdShares: unknown;
  sequences: unknown;
  epochs: number;
  bestEpoch: number | null;
  steps: number;
  parameters: number;
  /** Parameters and optimizer state. */
  weights: TensorsHash;
  model: TensorsHash;
}

const LETTERS = "ACDEFGHIKLMNPQRSTVWY";

/** Residues drawn evenly. */
function residues(next: () => number, length: number): string {
  return Array.from({ length }, () => LETTERS[Math.floor(next() * 20)]!).join("");
}

/** Writes families, each with two motifs of which one residue differs. */
async function writeFamilies(folder: string, families: number, perFamily: number): Promise<void> {
  const next = numbers(3);
  await mkdir(folder, { recursive: true });
  for (let f = 0; f < families; f++) {
    const motifs = [residues(next, 12), residues(next, 9)];
    let text = "";
    for (let i = 0; i < perFamily; i++) {
      let sequence = "";
      for (const motif of motifs) {
        const place = Math.floor(next() * motif.length);
        const changed = motif.slice(0, place) + residues(next, 1) + motif.slice(place + 1);
        sequence += residues(next, Math.floor(next() * 12)) + changed;
      }
      sequence += residues(next, Math.floor(next() * 20));
      text += `>P${f}_${i}_SP${Math.floor(next() * 40)}\n${sequence.replaceAll(/.{60}/g, "$&\n")}\n`;
    }
    await writeFile(join(folder, `fam${f}.fasta`), text);
  }
}

/** How to run. */
export interface ProteinRunOptions {
  device: ProteinSettings["device"];
  threads: number;
  /** Sequences of each of three families. */
  perFamily: number;
  epochs: number;
  batchSize: number;
  length: number;
  /** Shares of decoys and of flanks. */
  decoys?: number;
  flanks?: number;
  /** Stopped in the second epoch, and resumed. */
  isStopped?: boolean;
}

/** Trains a network in a new folder of `root`. */
export async function trainSmallProtein(
  root: string,
  model: ProteinModelName,
  { perFamily, isStopped = false, decoys = 0, flanks = 0, ...settings }: ProteinRunOptions,
): Promise<ProteinRun> {
  const families = join(root, `families ${perFamily}`);
  await writeFamilies(families, 3, perFamily);
  const directory = join(root, `protein ${model} ${settings.device} ${settings.threads} ${isStopped}`);
  const stop = new AbortController();
  let epochs = 0;
  const onEvent = (event: RunEvent): void => {
    if (event.event !== "metrics") return;
    if (event.part === "validation") epochs++;
    if (isStopped && event.part === "train" && epochs === 1) stop.abort();
  };
  let result = await trainProtein({
    directory,
    config: {
      data: {
        paths: [families],
        familyFrom: "file",
        minimum: 5,
        cap: null,
        split: "random",
        strict: false,
        dataSeed: 1,
      },
      settings: {
        model,
        patience: 4,
        learningRate: 5e-3,
        decoys,
        flanks,
        seed: 1,
        precision: "float32",
        ...settings,
      },
    },
    onEvent,
    signal: stop.signal,
  });
  if (isStopped) {
    if (result.finished) throw new Error(`${model} was to stop on its way, got its end`);
    result = await trainProtein({ directory, resume: {} });
  }
  const { test, validation, threshold, thresholdShares, sequences } = result;
  const { bestEpoch, steps, parameters } = result;
  return {
    test,
    validation,
    threshold,
    thresholdShares,
    sequences,
    epochs: result.epochs,
    bestEpoch,
    steps,
    parameters,
    weights: await hashTensors(join(directory, "checkpoints", "last")),
    model: await hashTensors(result.model!),
  };
}

/** Known proteins, some of families that the shipped model knows: α-globin, HIV-1 protease, ubiquitin, lysozyme, insulin. */
const KNOWN = [
  "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHGKKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNFKLLSHCLLVTLAAHLPAEFTPAVHASLDKFLASVSTVLTSKYR",
  "PQITLWQRPLVTIKIGGQLKEALLDTGADDTVLEEMSLPGRWKPKMIGGIGGFIKVRQYDQILIEICGHKAIGTVLVGPTPVNIIGRNLLTQIGCTLNF",
  "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG",
  "KVFERCELARTLKRLGMDGYRGISLANWMCLAKWESGYNTRATNYNAGDRSTDYGIFQINSRYWCNDGKTPGAVNACHLSCSALLQDNIADAVACAKRVVRDPQGIRAWVAWRNRCQNRDVRQYVQGCGV",
  "FVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN",
];

/** FASTA records: known proteins with changes, alone and within longer ones, random ones, and some that are odd. */
function fasta(count: number): string {
  const next = numbers(17);
  const records = Array.from({ length: count }, (_, i) => {
    const kind = i % 10;
    let sequence = residues(next, 3 + Math.floor(next() * (kind === 9 ? 700 : 300)));
    if (kind < 7) {
      const letters = [...KNOWN[Math.floor(next() * KNOWN.length)]!];
      const changes = Math.floor(next() * 0.3 * letters.length);
      for (let c = 0; c < changes; c++) letters[Math.floor(next() * letters.length)] = residues(next, 1);
      const [before, after] = kind < 4 ? [0, 0] : [Math.floor(next() * 400), Math.floor(next() * 100)];
      sequence = residues(next, before) + letters.join("") + residues(next, after);
    }
    if (i % 50 === 7) sequence = `${sequence.toLowerCase()}*`;
    if (i % 50 === 18) sequence = `XB${sequence}Z`;
    if (i % 100 === 29) sequence = "";
    if (i % 100 === 63) sequence = `${sequence}1?`;
    return `>r${i}${i % 3 === 0 ? " a description" : ""}\n${sequence.replaceAll(/.{70}/g, "$&\n")}\n`;
  });
  return records.join("");
}

/** What the shipped model says of records. */
export interface Classified {
  /** Of all that was written. */
  sha256: string;
  lines: number;
  /** Every so many lines of it. */
  some: string[];
}

const MAIN = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));

/**
 * An output as it was written when it was recorded. Since then, on purpose, messages of unusable records start in lower
 * case and end in the value received, and candidates in JSON say which window they were found in.
 */
function asRecorded(text: string): string {
  return text
    .replaceAll(/,"start":\d+,"end":\d+(?=\})/g, "")
    .replaceAll("the record has no residues, got 0", "The record has no residues: 0")
    .replaceAll(
      /line (\d+) has a character that is no residue, got (\\?"\?\\?")/g,
      "On line $1: A character that is no residue stands in the sequence: $2",
    );
}

/** Runs `pareto protein classify` on so many records. @param format `tsv` or `json` */
export async function classifyRecords(
  root: string,
  count: number,
  format: string,
  threads = 1,
): Promise<Classified> {
  const [source, out] = [join(root, `records ${count}.fasta`), join(root, `classes ${threads}.${format}`)];
  await writeFile(source, fasta(count));
  const options = ["--format", format, "--top", "3", "--threads", String(threads), "--out", out];
  const child = spawn(process.execPath, [MAIN, "protein", "classify", source, ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [status] = (await once(child, "close")) as [number];
  if (status !== 0) throw new Error(`classify should exit with 0, got ${status}: ${stderr}`);
  const text = asRecorded(await readFile(out, "utf8"));
  const lines = text.trimEnd().split("\n");
  const some = lines.filter((line, i) => i === 0 || /^.{0,30}\br\d+0[0-4]\b/.test(line));
  return { sha256: hashOf(text), lines: lines.length, some };
}
