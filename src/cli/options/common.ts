/** @file The options of every command. They say how a command is run, so that a configuration file does not hold them. */
import { flag, inGroup, option, text } from "./spec.ts";

/** Heading of these options in help. */
export const COMMON_HEADING = "Common options:";

/** The options. */
export const commonOptions = inGroup(COMMON_HEADING, {
  config: option("file", text, {
    meaning:
      "JSON file with options and operands by name in camelCase, such as batchSize; what is given on the command line wins over it",
    defaultText: "none",
  }),
  configSchema: flag("Print the JSON Schema of that file, and do nothing else"),
  json: flag('Write JSON lines to stdout, the last one {"event":"done",…}, and text to stderr'),
  quiet: flag("Write no progress and no notices"),
});
