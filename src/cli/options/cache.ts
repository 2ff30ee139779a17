/** @file Where encoded data is kept between runs. */
import type { Command } from "commander";
import { cacheFolder } from "../../base/cacheFolder.ts";
import { withDefault } from "./compute.ts";

/** Adds `--cache`. */
export function cacheOption(command: Command): Command {
  const description = "where encoded data is kept, to be used again";
  return command.addOption(
    withDefault("--cache <dir>", description, String, cacheFolder(), "~/.cache/pareto"),
  );
}
