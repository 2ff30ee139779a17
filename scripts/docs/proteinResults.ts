/** @file What `docs/results/protein.md` says of protein families, from the newest files of `bench/results`. */
import type { GridFile } from "../proteinGridFile.ts";
import { gridTable, gridTargets } from "../proteinGridTable.ts";
import { linkTo, newestResults } from "./resultFiles.ts";
import { origin } from "./speedResults.ts";

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
