/** @file What `docs/results.md` says of protein families, from the newest files of `bench/results`. */
import type { BenchRow } from "../bench/measure.ts";
import type { GridFile } from "../bench/protein/gridPlan.ts";
import { gridTable, gridTargets } from "../bench/protein/gridTable.ts";
import { benchTable } from "../bench/table.ts";
import { linkTo, newestResults } from "./resultFiles.ts";

interface Gpu {
  name: string;
  driver: string;
}

interface SpeedFile {
  machine: GridFile["machine"];
  rows: BenchRow[];
  results: { gpu?: Gpu }[];
}

/** Where and when something was measured. */
function origin(machine: GridFile["machine"], gpu: Gpu | null | undefined): string {
  const { cpu, cores, node, date, commit } = machine;
  const device = gpu ? `${gpu.name}, driver ${gpu.driver}, ` : "";
  return `${device}${cores} cores of ${cpu}, Node ${node}, ${date.slice(0, 10)}, commit ${commit ?? "unknown"}`;
}

/** Tables of speed, one for each machine. */
export async function proteinSpeed(): Promise<string> {
  const files = await newestResults<SpeedFile>((name) => name.startsWith("protein-speed"));
  if (files.length === 0) return "Not measured yet.";
  return files
    .map((file) => {
      const { machine, rows, results } = file.content;
      const gpu = results.find((result) => result.gpu)?.gpu;
      return `${origin(machine, gpu)} (${linkTo(file)}).\n\n\`\`\`\n${benchTable(rows).join("\n")}\n\`\`\``;
    })
    .join("\n\n");
}

/** Quality of all models, and of what was asked of ProFamNet how much is met. */
export async function proteinQuality(): Promise<string> {
  const files = await newestResults<GridFile>((name) => name.startsWith("protein-grid"));
  const grids = files.map(({ content }) => content);
  const table = gridTable(grids);
  if (table.length === 0) return "Not measured yet.";
  const sources = files.map(
    (file) => `- ${origin(file.content.machine, file.content.gpu)} (${linkTo(file)})`,
  );
  return [table.join("\n"), gridTargets(grids).join("\n"), `Measured on:\n\n${sources.join("\n")}`].join(
    "\n\n",
  );
}
