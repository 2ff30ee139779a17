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

/** Any command. */
export interface AnyCommand extends Omit<CommandSpec<OptionTable, OptionTable>, "run"> {
  run(out: Output, input: { values: never; isGiven(name: string): boolean }): Promise<void>;
}

/** Checks a command's types. */
export function defineCommand<Operands extends OptionTable, Options extends OptionTable>(
  spec: CommandSpec<Operands, Options>,
): CommandSpec<Operands, Options> {
  return spec;
}

/**
 * A `commander` command whose failures are thrown, and written in one form by {@link runProgram}.
 * @param summary sentences; lists of commands show the first, up to its colon
 */
export function newParser(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .summary(summary.slice(0, summary.search(/[.:](\s|$)/)))
    .configureHelp({ helpWidth: 100, subcommandTerm: (command) => command.name() })
    .helpOption("-h, --help", "Show this help.")
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
}

/** The parser of a command. @param path the words that call it, e.g. `["recsys", "train"]` */
export function parserOf(path: readonly string[], spec: AnyCommand): Command {
  const { summary, operands, options } = spec;
  const usage = Object.entries(operands).map(([name, operand]) => syntax(name, operand));
  const parser = newParser(path.at(-1)!, summary).usage(["[options]", ...usage].join(" "));
  for (const operand of Object.values(operands)) {
    // A required one may stand in a configuration file: it is asked for when that has been read.
    const rest = operand.operand === "rest" ? "..." : "";
    parser.addArgument(new Argument(`[${operand.placeholder}${rest}]`, optionText(operand)));
  }
  for (const [name, option] of Object.entries({ ...options, ...commonOptions }))
    parser.addOption(parserOption(name, option));
  parser.addHelpOption(new Option("-h, --help", "Show this help.").helpGroup(COMMON_HEADING));
  return parser.action(() => execute(path, spec, parser));
}

function parserOption(name: string, option: OptionSpec<unknown>): Option {
  const made = new Option(syntax(name, option), optionText(option));
  if (option.group !== null) made.helpGroup(option.group);
  if (option.placeholder === null) return made;
  return made.argParser((text) => readValue(option, text, flagName(name), flagName(name), "CLI_OPTION"));
}

async function execute(path: readonly string[], spec: AnyCommand, command: Command): Promise<void> {
  const { operands, options } = spec;
  const table = { ...operands, ...options };
  const flags: Record<string, unknown> = { ...command.opts() };
  const title = ["pareto", ...path].join(" ");
  if (flags["configSchema"] === true) {
    process.stdout.write(`${JSON.stringify(configSchema(title, table), null, 2)}\n`);
    return;
  }
  const out = new Output({ json: flags["json"] === true, quiet: flags["quiet"] === true });
  try {
    for (const [at, [name, operand]] of Object.entries(operands).entries()) {
      const given = operand.operand === "rest" ? command.args.slice(at) : command.args[at];
      if (command.args.length > at) flags[name] = readValue(operand, given, name, name, "CLI_OPTION");
    }
    const configPath = flags["config"] as string | undefined;
    const file = configPath === undefined ? null : await readConfigFile(configPath);
    for (const name of Object.keys(commonOptions)) delete flags[name];
    for (const [name, { placeholder, defaultValue }] of Object.entries(options))
      // Commander sets `--no-NAME` to true where it was not given.
      if (placeholder === null && flags[name] === defaultValue) delete flags[name];
    const { values, given } = mergeValues(table, flags, file);
    for (const [name, { writes }] of Object.entries(table)) {
      const place: unknown = values[name as keyof typeof values];
      if (writes === null || typeof place !== "string") continue;
      if (writes === "folder") await requireNewFolder(place);
      await requireWritable(place, writes, flagName(name));
    }
    await spec.run(out, { values: values as never, isGiven: (name) => given.has(name) });
  } catch (error) {
    out.error(error);
    process.exitCode = exitStatus(error);
  } finally {
    out.close();
  }
}

/** Runs the program on the process's arguments. */
export async function runProgram(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError && error.code.startsWith("commander.help")) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const out = new Output({ json: process.argv.includes("--json"), quiet: false });
    const shown = error instanceof CommanderError ? usageError(error) : error;
    out.error(shown);
    process.exitCode = exitStatus(shown);
  }
}

/** An argument that the parser refused: `error: unknown option '--epoch'`, and perhaps `(Did you mean --epochs?)`. */
function usageError(error: CommanderError): ParetoError {
  const [message = "", nearest] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = nearest === undefined ? "" : `${nearest.replaceAll(/[()]/g, "")} `;
  return new ParetoError({
    code: "CLI_USAGE",
    where: "pareto",
    message,
    fix: `${suggestion}Add --help to see what the command takes.`,
    cause: error,
  });
}
