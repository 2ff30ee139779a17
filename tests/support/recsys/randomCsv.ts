/** @file Random CSV files of the kinds that readers get wrong: columns that change their shape, hard quoting, hard numbers. */
import type { Rng } from "../../../src/base/rng.ts";

/** A file, and what it takes to split it. */
export interface RandomCsv {
  text: string;
  delimiter: string;
  columns: number;
}

type Make = (random: Rng) => string;

const pick = <T>(random: Rng, list: readonly T[]): T => list[random.integer(list.length)]!;
const digits = (random: Rng, count: number) =>
  Array.from({ length: count }, () => String(random.integer(10))).join("");
const natural = (random: Rng, most: number) => {
  const count = 1 + random.integer(most);
  return String(1 + random.integer(9)) + digits(random, count - 1);
};
const two = (value: number) => String(value).padStart(2, "0");
const grouped = (random: Rng, mark: string) =>
  [natural(random, 3), ...Array.from({ length: random.integer(3) }, () => digits(random, 3))].join(mark);
const day: Make = (random) =>
  `${2000 + random.integer(40)}-${two(1 + random.integer(12))}-${two(1 + random.integer(28))}`;
const clock: Make = (random) =>
  `${two(random.integer(24))}:${two(random.integer(60))}:${two(random.integer(60))}`;
const sign: Make = (random) => pick(random, ["", "", "", "-"]);

const KINDS: readonly Make[] = [
  (random) => sign(random) + natural(random, 4),
  (random) => pick(random, ["0", "1"]),
  (random) => sign(random) + natural(random, 25),
  (random) => sign(random) + String(2n ** 63n - 2n + BigInt(random.integer(5))),
  (random) => String(2n ** 53n - 2n + BigInt(random.integer(5))),
  (random) => `0${digits(random, 1 + random.integer(5))}`,
  (random) => `${natural(random, 2)}e${random.integer(12)}`,
  (random) => `+${natural(random, 3)}`,
  (random) => `${natural(random, 2)}_${digits(random, 3)}`,
  (random) => `0x${natural(random, 3)}`,
  (random) => `${sign(random)}${random.integer(300)}.${digits(random, 1 + random.integer(6))}`,
  (random) =>
    `${sign(random)}${random.integer(10)}.${digits(random, 17)}e${pick(random, ["-", "+", ""])}${random.integer(320)}`,
  (random) => `${natural(random, 2)}e-${two(random.integer(30))}`,
  (random) => pick(random, ["-0", "-0.0", ".5", "5.", "-.25", "0.1", "1e400", "1e-400"]),
  (random) => pick(random, ["inf", "-inf", "Infinity", "NaN", "nan", "+Inf", "1.#QNAN"]),
  (random) => pick(random, ["NA", "n/a", "None", "?", "-", "#N/A", "<NA>", "null"]),
  (random) => pick(random, ["", "NULL", "\\N", "  ", "\t"]),
  (random) => pick(random, ["true", "false"]),
  (random) => pick(random, ["True", "False"]),
  (random) => pick(random, ["TRUE", "False", "T", "yes", "No"]),
  day,
  (random) => pick(random, ["2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024-02-29"]),
  (random) => `${day(random)}${pick(random, [" ", "T"])}${clock(random)}`,
  (random) => `${day(random)} ${clock(random)}.${digits(random, 1 + random.integer(9))}`,
  (random) => `${day(random)}T${clock(random)}${pick(random, ["Z", "+02:00", "-0730", "+05"])}`,
  clock,
  (random) => `${1 + random.integer(28)}/${1 + random.integer(12)}/${2000 + random.integer(30)}`,
  (random) => `${two(1 + random.integer(12))}-${two(1 + random.integer(28))}-${two(random.integer(99))}`,
  (random) => `${sign(random)}${random.integer(300)},${digits(random, 1 + random.integer(4))}`,
  (random) => sign(random) + grouped(random, ","),
  (random) => `${grouped(random, ",")}.${digits(random, 2)}`,
  (random) => `${grouped(random, ".")},${digits(random, 2)}`,
  (random) => grouped(random, "."),
  (random) => grouped(random, pick(random, [" ", "\u00a0", "\u202f"])),
  (random) => grouped(random, pick(random, ["'", "’"])),
  (random) => `${sign(random)}$${grouped(random, ",")}.${digits(random, 2)}`,
  (random) => `${grouped(random, ".")} €`,
  (random) => `($${natural(random, 3)})`,
  (random) =>
    `${sign(random)}${random.integer(100)}${pick(random, ["", ".5", ",5"])}${pick(random, ["%", " %"])}`,
  (random) => `−${natural(random, 3)}`,
  (random) => ` ${natural(random, 3)}${pick(random, ["", " "])}`,
  (random) =>
    pick(random, [
      "a",
      "A",
      "b ",
      " a",
      "Wien",
      "日本",
      "é",
      "e\u0301",
      "🙂",
      "x_1",
      "E",
      "1,2,3",
      "10.1.2.3",
    ]),
  (random) => `w${random.integer(50)}`,
  (random) => digits(random, 8) + pick(random, ["", "a", "f0"]),
  (random) =>
    pick(random, [
      'say "hi"',
      '"',
      '""',
      "two\nlines",
      "cr\r\nlf",
      "a,b",
      "c;d",
      "e|f",
      "g\th",
      "'q'",
      "\u2028",
    ]),
];

/** One column's values: mostly of one kind, with strangers here and there, or only at the end. */
function columnOf(random: Rng, rows: number, late: boolean): string[] {
  const base = pick(random, KINDS);
  const strangers = Array.from({ length: random.integer(4) }, () => pick(random, KINDS));
  const rate = pick(random, [0, 0.02, 0.1, 0.5]);
  const absent = pick(random, [0, 0, 0.05, 0.3]);
  return Array.from({ length: rows }, (_, i) => {
    if (random.uniform() < absent) return pick(random, KINDS.slice(14, 17))(random);
    const odd = strangers.length > 0 && (late ? i > rows - 4 : random.uniform() < rate);
    return (odd ? pick(random, strangers) : base)(random);
  });
}

/** Makes a file. @param late rows of the shape of a column's first, before strangers come */
export function randomCsv(random: Rng, late: number): RandomCsv {
  const delimiter = pick(random, [",", ",", ";", "\t", "|"]);
  const columns = 2 + random.integer(5);
  const rows = late > 0 ? late + 5 : 1 + random.integer(pick(random, [3, 20, 60]));
  const table = Array.from({ length: columns }, () =>
    columnOf(random, rows, late > 0 || random.integer(2) === 0),
  );
  const end = pick(random, ["\n", "\n", "\r\n"]);
  const quoteMore = pick(random, [0, 0, 0.2, 1]);
  const written = (value: string): string => {
    const must = /["\r\n]/.test(value) || value.includes(delimiter) || value.trimStart().startsWith('"');
    const quoted = `"${value.replaceAll('"', '""')}"`;
    return must || random.uniform() < quoteMore ? quoted : value;
  };
  const blank = late === 0 && random.integer(10) === 0;
  const lines = [table.map((_, c) => `k${c}`).join(delimiter)];
  for (let r = 0; r < rows; r++) {
    if (blank && random.integer(8) === 0) lines.push("");
    lines.push(table.map((column) => written(column[r]!)).join(delimiter));
  }
  const bom = random.integer(12) === 0 ? "\uFEFF" : "";
  return { text: bom + lines.join(end) + (random.integer(5) === 0 ? "" : end), delimiter, columns };
}
