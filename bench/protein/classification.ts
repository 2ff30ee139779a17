/**
 * @file `pareto protein classify` on generated FASTA: its rate, and its memory at a small and a large number of records.
 * The command runs as users run it, in a process of its own; seconds count from its start to its end. The network has
 * random weights, which cost what trained ones do.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proteinModel } from "../../src/protein/models/models.ts";
import { saveProteinModel } from "../../src/protein/savedModel.ts";
import { ProteinNetwork } from "../../src/protein/network/proteinNetwork.ts";
import { openReplicas } from "../../src/protein/network/replicas.ts";
import { runAlone } from "../harness/alone.ts";
import { classifyCommand } from "./classifyCommand.ts";
import { naturalLength, writeRandomFasta, type LengthDraw } from "./randomSequences.ts";
import type { ProteinSizes } from "./sizes.ts";
import type { BenchRow } from "../harness/rows.ts";

/** One run of the command. */
export interface ClassifyRun {
  records: number;
  seconds: number;
  recordsPerSecond: number;
  /** Highest resident memory of its process. */
  peakRssBytes: number;
}

/** What both cases measured. */
export interface ProteinClassifyResult {
  bench: "protein classify";
  threads: number;
  length: number;
  /** Lengths as in HF73, and all of the network's length. */
  natural: ClassifyRun;
  full: ClassifyRun;
}

/** What the memory case measured; lengths as in HF73. */
export interface ProteinMemoryResult {
  bench: "protein classify memory";
  threads: number;
  few: ClassifyRun;
  many: ClassifyRun;
}

const LEAST_RECORDS_PER_SECOND = 2000;
/** How much more memory the many records may take. */
const MOST_GROWTH = 1.25;

/** Measures the rate. */
export async function measureClassify(
  threads: number,
  { records, families, length }: ProteinSizes,
): Promise<ProteinClassifyResult> {
  return inFolder(families, length, async (folder) => ({
    bench: "protein classify",
    threads,
    length,
    natural: await classify(folder, records, naturalLength, threads),
    full: await classify(folder, records, () => length, threads),
  }));
}

/** Measures memory. A million records take some minutes. */
export async function measureClassifyMemory(
  threads: number,
  { memoryRecords: [few, many], families, length }: ProteinSizes,
): Promise<ProteinMemoryResult> {
  return inFolder(families, length, async (folder) => ({
    bench: "protein classify memory",
    threads,
    few: await classify(folder, few, naturalLength, threads),
    many: await classify(folder, many, naturalLength, threads),
  }));
}

/** Does work in a folder of its own that holds a model of random weights. */
async function inFolder<T>(
  families: number,
  length: number,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "pareto-bench-protein-"));
  try {
    const replicas = await openReplicas("cpu", { threads: 1, batchSize: 1 });
    const network = await ProteinNetwork.create(replicas, proteinModel("profamnet", families), {
      seed: 1,
      isTraining: false,
    });
    await saveProteinModel(join(folder, "model"), network, {
      network: "profamnet",
      families: Array.from({ length: families }, (_, c) => `family${c}`),
      length,
      threshold: 0.5,
      trained: {},
    });
    await network.dispose();
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function classify(
  folder: string,
  records: number,
  draw: LengthDraw,
  threads: number,
): Promise<ClassifyRun> {
  const fasta = join(folder, "sequences.fa");
  await writeRandomFasta(fasta, records, draw, 3);
  const options = [fasta, "--model", join(folder, "model"), "--threads", String(threads)];
  const { seconds, peakRssBytes } = await runAlone(
    import.meta.resolve("./classifyCommand.ts"),
    classifyCommand,
    [[...options, "--out", join(folder, "families.tsv")]],
  );
  return { records, seconds, recordsPerSecond: records / seconds, peakRssBytes };
}

const count = (value: number) => Math.round(value).toLocaleString("en-US");
const mebibytes = (bytes: number) => `${count(bytes / 2 ** 20)} MiB`;
const rate = ({ recordsPerSecond }: ClassifyRun) => `${count(recordsPerSecond)} sequences/s`;

/** The lines of the rate. */
export function classifyRows({ natural, full, threads, length }: ProteinClassifyResult): BenchRow[] {
  return [
    {
      case: "classify",
      size: `${count(natural.records)} records, lengths as in HF73, ${threads} threads`,
      milliseconds: 1000 * natural.seconds,
      figure: rate(natural),
      limit: "the whole command, start to end",
      ratio: null,
      target: `≥ ${count(LEAST_RECORDS_PER_SECOND)} sequences/s`,
      met: natural.recordsPerSecond >= LEAST_RECORDS_PER_SECOND,
    },
    {
      case: `classify, length ${length}`,
      size: `${count(full.records)} records, all of length ${length}, ${threads} threads`,
      milliseconds: 1000 * full.seconds,
      figure: rate(full),
      limit: `${rate(natural)}, lengths as in HF73`,
      ratio: full.recordsPerSecond / natural.recordsPerSecond,
      target: "",
      met: null,
    },
  ];
}

/** The line of memory. */
export function classifyMemoryRows({ few, many }: ProteinMemoryResult): BenchRow[] {
  const growth = many.peakRssBytes / few.peakRssBytes;
  return [
    {
      case: "classify memory",
      size: `${count(many.records)} records over ${count(few.records)}`,
      milliseconds: 1000 * many.seconds,
      figure: mebibytes(many.peakRssBytes),
      limit: `${mebibytes(few.peakRssBytes)} at ${count(few.records)} records`,
      ratio: growth,
      target: `≤ ${MOST_GROWTH}`,
      met: growth <= MOST_GROWTH,
    },
  ];
}
