/** @file What pages say of measurements: blocks that are made from the newest files of `bench/results`. */
import { benchTable, type BenchRow } from "../../bench/harness/rows.ts";
import { llmQuality, llmSpeed } from "./llmResults.ts";
import { proteinQuality } from "./proteinResults.ts";
import { linkTo, newestResult } from "./resultFiles.ts";
import { gpuOf, origin, speedResults, type SpeedFile } from "./speedResults.ts";

/** What a run of the tests on a GPU left. */
interface CudaParity {
  gpu: { name: string; driver: string };
  date: string;
  commit: string | null;
  passed: number;
  failed: number;
  skipped: number;
  files: Record<string, { passed: number; failed: number; skipped: number }>;
}

/** Rows of the CUDA table that are of recommenders, by their case. */
const TRAINING = /^(training|GPU idle|FAE)/;

/** Rows of the CUDA table: those of recommenders, or those of the engine. */
async function cudaRates(isOfTraining: boolean): Promise<string> {
  const found = await newestResult<SpeedFile>("cuda");
  if (!found) return "Not measured yet.";
  const isWanted = (row: BenchRow) => TRAINING.test(row.case) === isOfTraining;
  const { machine, rows } = found.content;
  const where = `${origin(machine, gpuOf(found.content))} (${linkTo(found)}).`;
  return `${where}\n\n\`\`\`\n${benchTable(rows.filter(isWanted)).join("\n")}\n\`\`\``;
}

async function cudaParity(): Promise<string> {
  const found = await newestResult<CudaParity>("cuda-parity");
  if (!found) return "Not run yet.";
  const { gpu, date, commit, passed, failed, skipped, files } = found.content;
  const count = Object.keys(files).length;
  return `${gpu.name}, driver ${gpu.driver}, ${date.slice(0, 10)}, commit ${commit ?? "unknown"}: ${passed.toLocaleString("en-US")} tests passed in ${count} files, ${failed} failed, ${skipped} skipped (${linkTo(found)}).`;
}

const blocks: Readonly<Record<string, () => Promise<string>>> = {
  "cuda engine": () => cudaRates(false),
  "cuda training": () => cudaRates(true),
  "cuda parity": cudaParity,
  "protein speed": () => speedResults("protein-speed"),
  "protein quality": proteinQuality,
  "llm speed": llmSpeed,
  "llm quality": llmQuality,
};

/** A page with what the newest result files say between `<!-- NAME -->` and `<!-- end of NAME -->`. */
export async function withResults(page: string): Promise<string> {
  let text = page;
  for (const [name, make] of Object.entries(blocks)) {
    const place = new RegExp(`(<!-- ${name} -->\n)[^]*?(\n<!-- end of ${name} -->)`);
    if (!place.test(text)) continue;
    const shown = await make();
    text = text.replace(place, (_, open: string, close: string) => `${open}\n${shown}\n${close}`);
  }
  return text;
}
