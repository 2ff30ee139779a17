/**
 * @file What a command is: its operands and options as tables, and what it does with their values. `commander` parses
 * the arguments; a command that starts has checked values, and can write where it will write.
 */
import { Argument, Command, CommanderError, Option } from "commander";
import { ParetoError } from "../base/errors.ts";
import { requireWritable } from "../base/requireWritable.ts";
import { configSchema, readConfigFile } from "./options/configFile.ts";
import { COMMON_HEADING, commonOptions } from "./options/common.ts";
import { mergeValues, readValue } from "./options/mergeValues.ts";
import {
  flagName,
  optionText,
  type OptionSpec,
  type OptionTable,
  syntax,
  type Values,
} from "./options/spec.ts";
import { requireNewFolder } from "../run/runFolder.ts";
import { interruptStatus } from "./interrupt.ts";
import { exitStatus, Output } from "./output.ts";

/** What a command runs on. */
export interface CommandInput<Table extends OptionTable> {
  values: Values<Table>;
  /** Whether a value was given, on the command line or in a file, rather than left to its default. */
  isGiven(name: keyof Table): boolean;
}

/** A command. */
export interface CommandSpec<Operands extends OptionTable, Options extends OptionTable> {
  /** Sentences: what it does. */
  summary: string;
  /** In their order. */
  operands: Operands;
  options: Options;
  run(out: Output, input: CommandInput<Operands & Options>): Promise<void>;
}

/** What any command runs on; its table says of which types the values are. */
interface AnyInput {
  values: never;
  isGiven(name: string): boolean;
}

/** Any command. */
export interface AnyCommand extends Omit<CommandSpec<OptionTable, OptionTable>, "run"> {
  run(out: Output, input: AnyInput): Promise<void>;
}

/** Checks a command's types. */
export function defineCommand<Operands extends OptionTable, Options extends OptionTable>(
  spec: CommandSpec<Operands, Options>,
): CommandSpec<Operands, Options> {
  return spec;
}

/**
 * A `commander` command whose failures are thrown, and written in one form by {@link runProgram}.
 * @param path the words that call it, e.g. `["recsys", "train"]`; none for the program
 * @param summary sentences; lists of commands show the first, up to its colon
 */
export function newParser(path: readonly string[], summary: string): Command {
  return new Command(path.at(-1) ?? "pareto")
    .description(summary)
    .summary(summary.slice(0, summary.search(/[.:](\s|$)/)))
    .configureHelp({ helpWidth: 100, subcommandTerm: (command) => command.name() })
    .helpOption("-h, --help", "Show this help.")
    .configureOutput({ outputError: () => undefined })
    .exitOverride((error) => {
      throw isRefusal(error) ? usageError(error, ["pareto", ...path].join(" ")) : error;
    });
}

/**
 * The parser of a command.
 * @param path the words that call it, e.g. `["recsys", "train"]`
 * @param action done once the arguments are parsed
 */
export function parserOf(
  path: readonly string[],
  spec: AnyCommand,
  action: (parser: Command) => Promise<void> = (parser) => execute(path, spec, parser),
): Command {
  const { summary, operands, options } = spec;
  const usage = Object.entries(operands).map(([name, operand]) => syntax(name, operand));
  const parser = newParser(path, summary).usage(["[options]", ...usage].join(" "));
  for (const operand of Object.values(operands)) {
    // A required one may stand in a configuration file: it is asked for when that has been read.
    const rest = operand.operand === "rest" ? "..." : "";
    parser.addArgument(new Argument(`[${operand.placeholder}${rest}]`, optionText(operand)));
  }
  for (const [name, option] of Object.entries({ ...options, ...commonOptions }))
    parser.addOption(parserOption(name, option));
  parser.addHelpOption(new Option("-h, --help", "Show this help.").helpGroup(COMMON_HEADING));
  return parser.action(() => action(parser));
}

function parserOption(name: string, option: OptionSpec<unknown>): Option {
  const made = new Option(syntax(name, option), optionText(option));
  if (option.group !== null) made.helpGroup(option.group);
  if (option.placeholder === null) return made;
  const read = (given: unknown) => readValue(option, given, flagName(name), flagName(name), "CLI_OPTION");
  if (!option.takesSeveral) return made.argParser(read);
  // Commander calls it for each argument, with what the call before returned.
  return made.argParser((text, before: unknown) => read([...(Array.isArray(before) ? before : []), text]));
}

/** Runs a command with an output of its own; a failure is written and sets the exit status. */
async function execute(path: readonly string[], spec: AnyCommand, parser: Command): Promise<void> {
  const { configSchema: isSchema, json, quiet } = parser.opts<Record<string, boolean | undefined>>();
  if (isSchema) {
    const schema = configSchema(["pareto", ...path].join(" "), { ...spec.operands, ...spec.options });
    process.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
    return;
  }
  const out = new Output({ json: json ?? false, quiet: quiet ?? false });
  try {
    await spec.run(out, await inputOf(spec, parser));
  } catch (error) {
    out.error(error);
    process.exitCode = interruptStatus(error) ?? exitStatus(error);
  } finally {
    out.close();
  }
}

/**
 * What a command runs on: the values of its parsed arguments and of the file of `--config`.
 * @throws ParetoError CLI_OPTION, CLI_CONFIG, CLI_MISSING; FILE_REFUSED, RUN_EXISTS for outputs that cannot be written
 */
export async function inputOf(spec: AnyCommand, parser: Command): Promise<AnyInput> {
  const { operands, options } = spec;
  const table = { ...operands, ...options };
  const { config, ...flags } = parser.opts<Record<string, unknown>>();
  for (const [at, [name, operand]] of Object.entries(operands).entries()) {
    const given = operand.operand === "rest" ? parser.args.slice(at) : parser.args[at];
    if (parser.args.length > at) flags[name] = readValue(operand, given, name, name, "CLI_OPTION");
  }
  for (const [name, { placeholder, defaultValue }] of Object.entries(options))
    // Commander sets what `--no-NAME` switches off to true where it was not given.
    if (placeholder === null && flags[name] === defaultValue) delete flags[name];
  const file = config === undefined ? null : await readConfigFile(String(config));
  const { values, given } = mergeValues(table, flags, file);
  for (const [name, { writes }] of Object.entries(table)) {
    const place: unknown = values[name as keyof typeof values];
    if (writes === null || typeof place !== "string") continue;
    if (writes === "folder") await requireNewFolder(place);
    await requireWritable(place, writes, flagName(name));
  }
  return { values: values as never, isGiven: (name) => given.has(name) };
}

/** Runs the program on the process's arguments. */
export async function runProgram(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help or the version was written, on stderr where a command was missing.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    new Output({ json: process.argv.includes("--json"), quiet: false }).error(error);
    process.exitCode = exitStatus(error);
  }
}

/** Whether the parser refused an argument, and did not end because it wrote help or the version. */
function isRefusal({ code, exitCode }: CommanderError): boolean {
  return exitCode !== 0 && !code.startsWith("commander.help");
}

/** An argument that the parser refused: `error: unknown option '--epoch'`, and perhaps `(Did you mean --epochs?)`. */
function usageError(error: CommanderError, where: string): ParetoError {
  const [message = "", nearest] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = nearest === undefined ? "" : `${nearest.replaceAll(/[()]/g, "")} `;
  return new ParetoError({
    code: "CLI_USAGE",
    where,
    message,
    fix: `${suggestion}Add --help to see what the command takes.`,
    cause: error,
  });
}
