/** @file The configuration that a run's folder keeps, checked by the schema of the task that made it. */
import { z } from "zod";
import { ParetoError } from "../base/errors.ts";
import { checkJson } from "../base/jsonFile.ts";
import { RECORD, runFiles, type RunFolder } from "./runFolder.ts";
import { join } from "node:path";

/**
 * The configuration of a run of a command.
 * @throws ParetoError `RUN_COMMAND` for a run of another command; `RUN_INVALID`, which names the file and the key
 */
export function storedConfig<Config>(
  command: string,
  schema: z.ZodType<Config>,
  folder: Pick<RunFolder, "path" | "record">,
): Config {
  const { path, record } = folder;
  if (record.command !== command) {
    throw new ParetoError({
      code: "RUN_COMMAND",
      where: path,
      message: `a run of pareto ${command} is needed, got one of pareto ${record.command}`,
      fix: "Give the folder of such a run.",
    });
  }
  return runConfig(schema, folder);
}

/** The configuration of a run whose command is known. @throws ParetoError `RUN_INVALID` */
export function runConfig<Config>(
  schema: z.ZodType<Config>,
  { path, record }: Pick<RunFolder, "path" | "record">,
): Config {
  const format = { ...runFiles, schema: z.object({ config: schema }) };
  return checkJson(format, join(path, RECORD), { config: record.config }).config;
}
