/**
 * @file What every command has in common: `--json` and `--quiet`, one place where failures become text and an exit
 * status, and help that a width of 100 columns holds.
 */
import { Command, CommanderError } from "commander";
import { ParetoError } from "../base/errors.ts";
import { exitStatus, Output } from "./output.ts";

/** Options of every command. */
export interface CommonFlags {
  json?: true;
  quiet?: true;
}

/** A command with the common options. */
export function newCommand(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .option("--json", 'write JSON lines to stdout, the last one {"event":"done",…}; text goes to stderr')
    .option("--quiet", "no progress, no remarks")
    .configureHelp({ helpWidth: 100 })
    .showHelpAfterError("(see --help)")
    .exitOverride();
}

/**
 * Runs a command's work with an output; a failure is written and sets the exit status.
 * @param flags of the command
 */
export async function withOutput(flags: CommonFlags, work: (out: Output) => Promise<void>): Promise<void> {
  const out = new Output({ json: flags.json ?? false, quiet: flags.quiet ?? false });
  try {
    await work(out);
  } catch (error) {
    out.error(error);
    process.exitCode = exitStatus(error);
  } finally {
    out.close();
  }
}

/** Runs the program on the process's arguments. */
export async function runProgram(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version have been written; anything else was an option or argument that commander has told of.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      if (error.exitCode !== 0 && process.argv.includes("--json")) {
        writeError(
          new ParetoError({
            code: "CLI_USAGE",
            where: "pareto",
            message: error.message.replace(/^error: /, ""),
            fix: "See --help of the command.",
          }),
        );
      }
      return;
    }
    new Output({ json: process.argv.includes("--json"), quiet: false }).error(error);
    process.exitCode = exitStatus(error);
  }
}

function writeError(error: ParetoError): void {
  process.stdout.write(`${JSON.stringify({ event: "error", ...error.toJSON() })}\n`);
}
