/** @file A command that counts the records of FASTA files. In `src/cli/commands/protein/`, with a line in `commandTree.ts`. */
import { wholeNumber } from "../../src/base/optionSchemas.ts";
import { defineCommand } from "../../src/cli/command.ts";
import { operand, option, pathList } from "../../src/cli/options/spec.ts";
import { readFasta } from "../../src/protein/index.ts";

export const command = defineCommand({
  summary: "Count the records of FASTA files, and those that are long.",
  operands: {
    fasta: operand("file", pathList, { meaning: "FASTA files", rest: true }),
  },
  options: {
    length: option("n", wholeNumber({ min: 1 }), {
      meaning: "Residues from which a record counts as long",
      default: 256,
    }),
  },
  async run(out, { values }) {
    let [records, long] = [0, 0];
    for (const path of values.fasta) {
      for await (const record of readFasta(path)) {
        records++;
        if (!record.bad && record.residues.length >= values.length) long++;
      }
    }
    out.result(`${records} records, ${long} of ${values.length} residues or more`);
    out.json({ event: "done", records, long });
  },
});
