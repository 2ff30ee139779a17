/**
 * @file The text of `--csv`: `delim=;,decimal=,,header=no`. A comma ends a value where a key follows it, so that a value
 * may be a comma itself.
 */
import { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import { nearestName } from "../../base/nearestName.ts";
import { csvOptions, type CsvOptions } from "../../recsys/data/source/csvOptions.ts";

const KEYS = Object.keys(csvOptions.shape);

/** Words for characters that are hard to write on a command line. */
const WORDS: Readonly<Record<string, string>> = {
  tab: "\t",
  "\\t": "\t",
  space: " ",
  comma: ",",
  semicolon: ";",
  pipe: "|",
  bar: "|",
  point: ".",
  apostrophe: "'",
  none: "",
};

const SWITCHES: Readonly<Record<string, boolean>> = {
  yes: true,
  true: true,
  on: true,
  no: false,
  false: false,
  off: false,
};

function readPair(key: string, text: string): unknown {
  if (key === "header") return SWITCHES[text.toLowerCase()] ?? text;
  if (key === "skip") return /^\d+$/.test(text) ? Number(text) : text;
  return key === "encoding" ? text : (WORDS[text.toLowerCase()] ?? text);
}

/**
 * What a text says.
 * @throws ParetoError CLI_OPTION
 */
export function readCsvOptions(text: string): CsvOptions {
  const values: Record<string, unknown> = {};
  const fail = (message: string, fix: string): never => {
    throw new ParetoError({ code: "CLI_OPTION", where: "--csv", message, fix });
  };
  for (const pair of text.split(new RegExp(`,(?=(?:${KEYS.join("|")})=)`))) {
    const at = pair.indexOf("=");
    const key = pair.slice(0, Math.max(0, at)).trim();
    const value = pair.slice(at + 1);
    const unknown = KEYS.includes(key) ? /,([a-z_]+)=/i.exec(value)?.[1] : key || pair;
    if (unknown !== undefined) {
      const near = nearestName(unknown, KEYS);
      fail(
        `--csv has no such key, got ${JSON.stringify(unknown)}`,
        `${near === null ? "" : `Did you mean ${near}? `}Its keys are ${KEYS.join(", ")}, each as KEY=VALUE, between commas.`,
      );
    }
    if (Object.hasOwn(values, key))
      fail(`--csv names a key twice, got ${JSON.stringify(key)}`, "Say it once.");
    const read = csvOptions.shape[key as keyof CsvOptions].safeParse(readPair(key, value));
    if (!read.success) {
      fail(
        `${read.error.issues[0]!.message} for --csv ${key}, got ${JSON.stringify(value)}`,
        `Give one, or leave ${key} out: it is then found from the file.`,
      );
    }
    values[key] = read.data;
  }
  return values as CsvOptions;
}

/** The text of `--csv`, or its keys as a JSON object. */
export const csvText = z.preprocess(
  (given) => (typeof given === "string" ? readCsvOptions(given) : given),
  csvOptions,
);
