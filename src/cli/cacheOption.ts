/** @file Where encoded data is kept between runs. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { withDefault } from "./defaults.ts";

function defaultCache(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "pareto");
}

/** Adds `--cache`. */
export function cacheOption(command: Command): Command {
  const description = "where encoded data is kept, to be used again";
  return command.addOption(
    withDefault("--cache <dir>", description, String, defaultCache(), "~/.cache/pareto"),
  );
}
