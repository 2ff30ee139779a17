/** @file The commands of `pareto`: one file each, in `commands/`. */
import { Command } from "commander";
import { paretoVersion } from "../engine/environment.ts";
import { runProgram } from "./command.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { predictCommand } from "./commands/predict.ts";
import { profileCommand } from "./commands/profile.ts";
import { proteinCommand } from "./commands/protein/protein.ts";
import { synthCommand } from "./commands/synth.ts";
import { trainCommand } from "./commands/train.ts";

/** Every command, in the order of `pareto --help`. */
export function allCommands(): Command[] {
  return [
    demoCommand(),
    synthCommand(),
    profileCommand(),
    trainCommand(),
    evaluateCommand(),
    predictCommand(),
    exportCommand(),
    proteinCommand(),
    doctorCommand(),
  ];
}

/** Runs the command line on the process's arguments. */
export async function main(): Promise<void> {
  // A reader that has gone away, as `| head` does, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });

  const program = new Command("pareto")
    .description("Train click models from logs, spending memory and compute on the few rows that matter.")
    .version(paretoVersion())
    .configureHelp({ helpWidth: 100 })
    .showHelpAfterError("(see --help)")
    .exitOverride();
  for (const command of allCommands()) {
    program.addCommand(command);
  }
  await runProgram(program);
}
