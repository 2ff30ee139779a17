/** @file The areas of the benchmarks, found by the names of their files, and what `--help` says of them. */
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AreaOption, BenchArea } from "./area.ts";

const folder = dirname(import.meta.dirname);
const ENDING = ".bench.ts";
/** Of the column of names in the list of areas. */
const NAME_WIDTH = 15;

/** Names of all areas, sorted. */
export async function areaNames(): Promise<string[]> {
  const files = await readdir(folder);
  return files
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length))
    .sort();
}

/** An area by its name, which {@link areaNames} must hold. */
export async function loadArea(name: string): Promise<BenchArea> {
  const { default: area } = (await import(join(folder, `${name}${ENDING}`))) as { default: BenchArea };
  return area;
}

/** Options that every area has. */
export const commonOptions = {
  threads: { type: "string", meaning: "threads of the host. Defaults to one a core" },
  small: { type: "boolean", meaning: "sizes that show only that everything runs" },
  out: { type: "string", meaning: "file for the JSON document. Defaults to none" },
  "json-only": { type: "boolean", meaning: "prints the JSON line alone" },
  commit: { type: "string", meaning: "the commit measured. Defaults to that of the checkout" },
  help: { type: "boolean", meaning: "prints this" },
} as const satisfies Record<string, AreaOption>;

/** `--only`, of an area that has groups. */
export function onlyOption(groups: readonly string[]): AreaOption {
  return { type: "string", meaning: `groups to measure, of: ${groups.join(", ")}. Defaults to all` };
}

function optionLines(options: Readonly<Record<string, AreaOption>>): string[] {
  return Object.entries(options).map(([name, { type, meaning }]) => {
    const flag = `--${name}${type === "string" ? " VALUE" : ""}`;
    return `  ${flag.padEnd(22)} ${meaning}`;
  });
}

/** The list of all areas. */
export async function helpLines(): Promise<string[]> {
  const names = await areaNames();
  const areas = await Promise.all(names.map(loadArea));
  const lines = areas.flatMap(({ about, cost, groups }, i) => [
    `  ${names[i]!.padEnd(NAME_WIDTH)} ${about}`,
    ...[cost, ...(groups ? [`groups: ${groups.join(", ")}`] : [])].map(
      (line) => `${" ".repeat(NAME_WIDTH + 3)}${line}`,
    ),
  ]);
  const whole = areas.flatMap(({ isInAll }, i) => (isInAll ? [names[i]!] : []));
  return [
    "Speed, memory and quality, each figure beside a limit or a peer measured in the same run.",
    "Ends in a table and one line of JSON.",
    "",
    "npm run bench -- AREA [options]",
    "",
    "Areas:",
    ...lines,
    `  ${"all".padEnd(NAME_WIDTH)} ${whole.join(", ")}, each in a process of its own`,
    "",
    "Options of every area:",
    ...optionLines(commonOptions),
    "",
    "`npm run bench -- AREA --help` lists an area's own options.",
  ];
}

/** What one area takes. */
export function areaHelp(name: string, { about, cost, groups, options }: BenchArea): string[] {
  const own = { ...(groups && { only: onlyOption(groups) }), ...options };
  return [
    `npm run bench -- ${name} [options]`,
    "",
    about,
    cost,
    "",
    "Options:",
    ...optionLines({ ...own, ...commonOptions }),
  ];
}
