/** @file The FASTA files of a folder, and the family that a file's name stands for. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileError } from "../../base/fileErrors.ts";
import { ParetoError } from "../../base/errors.ts";

const FASTA_NAME = /\.(?:fa|fasta|faa|fas|fsa|mpfa|pep|seq|aa)(?:\.(?:gz|bgz|zst))?$/i;
const PACKED_NAME = /\.(?:gz|bgz|zst)$/i;

/** The family of a file: its name without folder and without the ending that says FASTA or compressed. */
export function familyOfFile(path: string): string {
  const name = basename(path);
  return name.replace(FASTA_NAME, "").replace(PACKED_NAME, "") || name;
}

/**
 * Replaces folders by their FASTA files, known by their endings and in the order of their names. Files are taken as
 * given, whatever their names.
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, PROTEIN_NO_FILES
 */
export async function findFamilyFiles(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (path === "-") {
      files.push(path);
      continue;
    }
    try {
      if (!(await stat(path)).isDirectory()) {
        files.push(path);
        continue;
      }
      const entries = await readdir(path, { withFileTypes: true });
      const names = entries.filter((entry) => !entry.isDirectory() && FASTA_NAME.test(entry.name));
      files.push(
        ...names
          .map((entry) => entry.name)
          .sort()
          .map((name) => join(path, name)),
      );
    } catch (error) {
      throw fileError(error, path);
    }
  }
  if (files.length === 0) {
    throw new ParetoError({
      code: "PROTEIN_NO_FILES",
      where: paths.join(", ") || "paths",
      message: `there is no FASTA file here, got ${JSON.stringify(paths)}`,
      fix: "Name FASTA files, or a folder of files that end in .fa, .fasta, .faa or .pep, with or without .gz.",
    });
  }
  return files;
}
