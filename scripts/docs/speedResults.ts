/** @file Tables of speed for `docs/results`, from the newest files of `bench/results`, one for each machine. */
import type { ContextPoint } from "../../bench/llm/curves.ts";
import { benchTable, type BenchRow } from "../../bench/harness/rows.ts";
import { linkTo, newestResults } from "./resultFiles.ts";

interface Gpu {
  name: string;
  driver: string;
}

/** Where and when something was measured. */
export interface Machine {
  cpu: string;
  cores: number;
  node: string;
  date: string;
  commit: string | null;
}

/** What a benchmark left. */
export interface SpeedFile {
  machine: Machine;
  rows: BenchRow[];
  results: { gpu?: Gpu; points?: ContextPoint[] }[];
}

/** Where and when something was measured, in words. */
export function origin({ cpu, cores, node, date, commit }: Machine, gpu: Gpu | null | undefined): string {
  const device = gpu ? `${gpu.name}, driver ${gpu.driver}, ` : "";
  return `${device}${cores} cores of ${cpu}, Node ${node}, ${date.slice(0, 10)}, commit ${commit ?? "unknown"}`;
}

/** The GPU that was measured; undefined where it was a CPU alone. */
export function gpuOf({ results }: SpeedFile): Gpu | undefined {
  return results.find((result) => result.gpu)?.gpu;
}

/** Tables of speed. @param prefix with which the files' names begin */
export async function speedResults(prefix: string): Promise<string> {
  const files = await newestResults<SpeedFile>((name) => name.startsWith(prefix));
  if (files.length === 0) return "Not measured yet.";
  return files
    .map((file) => {
      const { machine, rows } = file.content;
      return `${origin(machine, gpuOf(file.content))} (${linkTo(file)}).\n\n\`\`\`\n${benchTable(rows).join("\n")}\n\`\`\``;
    })
    .join("\n\n");
}
