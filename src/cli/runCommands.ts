/** @file The command line over the commands that it is given. */
import { Command } from "commander";
import { paretoVersion } from "../base/environment.ts";
import { runProgram } from "./command.ts";
import { readerIsGone } from "./readerGone.ts";

/** Runs one of the commands on the process's arguments. */
export async function runCommands(commands: readonly Command[]): Promise<void> {
  // A reader that has gone away, as `| head` does, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return readerIsGone();
    process.stderr.write(
      `error FILE_REFUSED: stdout cannot be written to, got ${error.message}\n  where  stdout\n  fix    Free some space where it goes, or send it elsewhere.\n`,
    );
    process.exit(1);
  });

  const program = new Command("pareto")
    .description(
      "Train models of clicks and of protein families, spending memory and compute on the few things that matter.",
    )
    .version(paretoVersion())
    .configureHelp({ helpWidth: 100 })
    .showHelpAfterError("(see --help)")
    // Options behind the name of a command are that command's, also where commands have commands of their own.
    .enablePositionalOptions()
    .exitOverride();
  for (const command of commands) {
    program.addCommand(command);
  }
  await runProgram(program);
}
