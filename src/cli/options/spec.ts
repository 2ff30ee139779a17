/**
 * @file How a command's options and operands are declared: a table of name → schema, meaning, unit and default. Flags,
 * help, `docs/cli.md`, the JSON Schema of `--config` and the typed values that a command runs on are made from it.
 *
 * A name is camelCase in the table and in a configuration file, `--kebab-case` on the command line. Every option has
 * either a default, or words for what happens without it, or is required: a table that says neither does not compile.
 */
import { z } from "zod";
import { choice } from "../../base/optionSchemas.ts";

/** One option or operand. */
export interface OptionSpec<T> {
  /** Reads text from the command line, or JSON from a file: see `base/optionSchemas.ts`. */
  readonly schema: z.ZodType<T>;
  /** What stands for the value in help, e.g. `n`; null for an option that is on or off. */
  readonly placeholder: string | null;
  /** A phrase without its full stop: `Passes over the training rows`. */
  readonly meaning: string;
  /** What a number counts or measures, where the meaning does not say it. */
  readonly unit: string | null;
  /** The value where none was given; undefined where there is none. */
  readonly defaultValue: T | undefined;
  /** The default as help words it; null for a required option. */
  readonly defaultText: string | null;
  /** What the command writes there, a file or a new folder; it is checked before the command starts. */
  readonly writes: "file" | "folder" | null;
  /** Null for an option; an operand takes one argument, or all that are left. */
  readonly operand: "one" | "rest" | null;
  /** Whether an option takes all arguments up to the next option, and may be given again for more. */
  readonly takesSeveral: boolean;
  /** Heading in help; null for none of its own. */
  readonly group: string | null;
}

/** Options or operands by name. */
export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

/** The values of a table. */
export type Values<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends OptionSpec<infer T> ? T : never;
};

interface Wording {
  meaning: string;
  unit?: string;
  writes?: "file" | "folder";
}

const spec = <T>(placeholder: string | null, schema: z.ZodType<T>, wording: Wording) => ({
  schema,
  placeholder,
  meaning: wording.meaning,
  unit: wording.unit ?? null,
  writes: wording.writes ?? null,
  operand: null,
  takesSeveral: false,
  group: null,
});

/** An option that must be given, on the command line or in the file of `--config`. */
export function required<T>(placeholder: string, schema: z.ZodType<T>, wording: Wording): OptionSpec<T> {
  return { ...spec(placeholder, schema, wording), defaultValue: undefined, defaultText: null };
}

/**
 * An option with a value.
 * @param placeholder what stands for the value in help
 * @param wording `default` is the value where none is given, `defaultText` words for it where the value reads badly; with
 *   words alone the command decides, and its value is undefined
 */
export function option<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { default: NoInfer<T>; defaultText?: string },
): OptionSpec<T>;
export function option<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { defaultText: string },
): OptionSpec<T | undefined>;
export function option<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { default?: T; defaultText?: string },
): OptionSpec<T | undefined> {
  return {
    ...spec<T | undefined>(placeholder, schema, wording),
    defaultValue: wording.default,
    defaultText: wording.defaultText ?? valueText(wording.default),
  };
}

/**
 * An option with a list of values: each argument up to the next option is one, or several between commas.
 * @param schema reads an array of texts
 */
export function listOption<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { default: NoInfer<T>; defaultText?: string },
): OptionSpec<T> {
  return { ...option(placeholder, schema, wording), takesSeveral: true };
}

/**
 * An argument without a flag.
 * @param wording without `defaultText` it is required
 */
export function operand<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { rest?: boolean },
): OptionSpec<T>;
export function operand<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { rest?: boolean; defaultText: string },
): OptionSpec<T | undefined>;
export function operand<T>(
  placeholder: string,
  schema: z.ZodType<T>,
  wording: Wording & { rest?: boolean; defaultText?: string },
): OptionSpec<T | undefined> {
  return {
    ...spec<T | undefined>(placeholder, schema, wording),
    defaultValue: undefined,
    defaultText: wording.defaultText ?? null,
    operand: wording.rest === true ? "rest" : "one",
  };
}

/** The options of a table under a heading in help. */
export function inGroup<Table extends OptionTable>(heading: string, table: Table): Table {
  const grouped = Object.entries(table).map(([name, option]) => [name, { ...option, group: heading }]);
  return Object.fromEntries(grouped) as Table;
}

/** An option that is on or off; one that is on by default is switched off by `--no-NAME`. */
export function flag(meaning: string, isOn = false): OptionSpec<boolean> {
  const defaultText = isOn ? "on" : "off";
  return { ...spec(null, z.boolean("expected true or false"), { meaning }), defaultValue: isOn, defaultText };
}

/** One of some words, of which each may have an explanation. */
export function words<const T extends string>(explained: Readonly<Record<T, string>>) {
  return choice(Object.keys(explained) as T[]);
}

/** The words of {@link words} with their explanations, as the end of a meaning: `cpu, or cuda (an NVIDIA GPU)`. */
export function listWords(explained: Readonly<Record<string, string>>): string {
  const all = Object.entries(explained).map(([word, text]) => (text === "" ? word : `${word} (${text})`));
  const last = all.pop()!;
  return all.length === 0 ? last : `${all.join(", ")} or ${last}`;
}

/** One path or several: operands, or JSON text or array. */
export const pathList = z.preprocess(
  (given) => (typeof given === "string" ? [given] : given),
  z.array(z.string("expected a path"), "expected a list of paths"),
);

/** Any text, such as a path or the name of a column. */
export const text = z.string("expected text").min(1, "expected a text that is not empty");

/** A value as a user would write it. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What help says about an option: its meaning, its unit and its default. */
export function optionText({ meaning, unit, defaultText }: OptionSpec<unknown>): string {
  const withUnit = unit === null ? meaning : `${meaning}, in ${unit}`;
  return `${withUnit}. ${defaultText === null ? "Required." : `Defaults to ${defaultText}.`}`;
}

/** The flag of a name: `batchSize` as `--batch-size`. */
export function flagName(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** An option as a user writes it: `--batch-size <n>`, `--json`, `--no-header`; an operand as `<run>`, `[source...]`. */
export function syntax(name: string, spec: OptionSpec<unknown>): string {
  const { placeholder, defaultValue, defaultText, operand, takesSeveral } = spec;
  if (operand !== null) {
    const shown = operand === "rest" ? `${placeholder}...` : placeholder;
    return defaultText === null ? `<${shown}>` : `[${shown}]`;
  }
  if (placeholder !== null) return `${flagName(name)} <${placeholder}${takesSeveral ? "..." : ""}>`;
  return defaultValue === true ? flagName(name).replace("--", "--no-") : flagName(name);
}
