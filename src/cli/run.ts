/** @file Runs the command line on the process's arguments. */
import { paretoVersion } from "../base/environment.ts";
import { brokenPipe } from "./brokenPipe.ts";
import { runProgram } from "./command.ts";
import { programFor } from "./commandTree.ts";

/** Runs the command that the process's arguments name. */
export async function run(): Promise<void> {
  // A reader that has gone away, as `| head` does, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return brokenPipe();
    process.stderr.write(
      `error FILE_REFUSED: stdout cannot be written to, got ${error.message}\n  where  stdout\n  fix    Free some space where it goes, or send it elsewhere.\n`,
    );
    process.exit(1);
  });
  const program = await programFor(
    "Train recommenders and protein classifiers and run language models, spending memory and compute on the few things that matter.",
    process.argv.slice(2),
  );
  await runProgram(program.version(paretoVersion()));
}
