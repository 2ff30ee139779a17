/** @file The file of `--config`: JSON with a command's options and operands by name, and the JSON Schema that describes it. */
import { z } from "zod";
import { readJson, type JsonFormat } from "../../base/jsonFile.ts";
import type { FileValues } from "./mergeValues.ts";
import { optionText, type OptionSpec, type OptionTable } from "./spec.ts";

const configFormat: JsonFormat<Record<string, unknown>> = {
  noun: "configuration",
  schema: z.record(z.string(), z.unknown()),
  codes: { damaged: "CLI_CONFIG" },
  fix: 'Write one JSON object with the command\'s options by name, e.g. {"epochs": 3}; its --config-schema lists them.',
  takesPipes: true,
};

/**
 * Reads a file. A key `$schema`, which editors look for, is left out.
 * @throws ParetoError CLI_CONFIG where it holds no JSON object, FILE_MISSING, FILE_REFUSED
 */
export async function readConfigFile(path: string): Promise<FileValues> {
  const { $schema: _, ...values } = await readJson(configFormat, path);
  return { path, values };
}

/** The JSON Schema (draft 2020-12) of a command's file. @param title the command */
export function configSchema(title: string, table: OptionTable): Record<string, unknown> {
  const properties: Record<string, unknown> = { $schema: { type: "string" } };
  for (const [name, option] of Object.entries(table)) properties[name] = propertyOf(option);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title,
    type: "object",
    properties,
    additionalProperties: false,
  };
}

function propertyOf(option: OptionSpec<unknown>): Record<string, unknown> {
  const { $schema: _, ...value } = z.toJSONSchema(option.schema, { io: "output", unrepresentable: "any" });
  // Schemas that read text from a command line take the same text from a file.
  const takesText = option.schema instanceof z.ZodPipe;
  return {
    description: optionText(option),
    ...(takesText ? { anyOf: [value, { type: "string" }] } : value),
    ...(option.defaultValue !== undefined && { default: option.defaultValue }),
  };
}
