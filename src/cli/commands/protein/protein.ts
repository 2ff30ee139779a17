/** @file `pareto protein`: families of proteins from FASTA files. */
import { Command } from "commander";
import { proteinClassifyCommand } from "./classify.ts";
import { proteinExportCommand } from "./export.ts";
import { proteinTrainCommand } from "./train.ts";

/** The group of commands. */
export function proteinCommand(): Command {
  return new Command("protein")
    .description("Protein families from FASTA: train a network, classify sequences, export it.")
    .configureHelp({ helpWidth: 100 })
    .showHelpAfterError("(see --help)")
    .exitOverride()
    .addCommand(proteinTrainCommand())
    .addCommand(proteinClassifyCommand())
    .addCommand(proteinExportCommand());
}
