/** @file Where encoded data is kept between runs. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";

function defaultCache(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "pareto");
}

/** Adds `--cache`. */
export function cacheOption(command: Command): Command {
  return command.option("--cache <dir>", "where encoded data is kept, to be used again", defaultCache());
}
