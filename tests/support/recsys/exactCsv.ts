/**
 * @file A slow, exact reader of CSV text that shares nothing with the code under test: it scans letter by letter, decides
 * the type of a column from all of its values, and gives each value exactly. Slow and plain on purpose.
 */

/** A value, of the column's type: a number for DOUBLE, nanoseconds since 1970 (or of the day) for dates and times. */
export type ExactValue = string | number | bigint | boolean | null;

/** A column as it must arrive. */
export interface ExactColumn {
  type: string;
  values: ExactValue[];
  /** As it stands in the file; null where there is nothing. */
  written: (string | null)[];
}

/** The records of a CSV text; empty lines are no records. Blanks between a delimiter and a quoted field do not count. */
export function splitCsv(text: string, delimiter: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let i = 0;
  while (i < text.length) {
    if (record.length === 0 && (text[i] === "\n" || text.startsWith("\r\n", i))) {
      i += text[i] === "\n" ? 1 : 2;
      continue;
    }
    let field = "";
    let start = i;
    while (text[start] === " ") start++;
    if (text[start] === '"') {
      for (i = start + 1; ; i++) {
        if (i >= text.length) throw new Error("a quoted field does not end");
        if (text[i] !== '"') field += text[i];
        else if (text[i + 1] === '"') field += text[i++];
        else break;
      }
      i++;
      while (text[i] === " ") i++;
    } else {
      while (i < text.length && text[i] !== delimiter && text[i] !== "\n" && !text.startsWith("\r\n", i)) {
        field += text[i++];
      }
    }
    record.push(field);
    if (text[i] === delimiter) {
      i++;
      if (i < text.length) continue;
      record.push("");
    }
    records.push(record);
    record = [];
    i += text[i] === "\r" ? 2 : 1;
  }
  return records;
}

const digit = (c: string | undefined) => c !== undefined && c >= "0" && c <= "9";
const isDigits = (s: string) => s !== "" && [...s].every(digit);
const trimmed = (s: string) => {
  let from = 0;
  let to = s.length;
  while (from < to && (s[from] === " " || s[from] === "\t")) from++;
  while (to > from && (s[to - 1] === " " || s[to - 1] === "\t")) to--;
  return s.slice(from, to);
};
const MISSING = new Set(["", "NULL", "null", "\\N"]);
const ABSENT = new Set(["#n/a n/a", ..."na n/a none null nil #n/a #na <na> ? - --".split(" ")]);
const ODD = new Set("nan inf infinity 1.#inf 1.#ind 1.#qnan 1.#nan".split(" "));

/** The parts of a number with a point, or null. */
function numberParts(
  x: string,
): { sign: string; whole: string; rest: string | null; exponent: string | null } | null {
  let i = 0;
  const run = () => {
    const from = i;
    while (digit(x[i])) i++;
    return x.slice(from, i);
  };
  const sign = x[0] === "+" || x[0] === "-" ? x[i++]! : "";
  const whole = run();
  let rest: string | null = null;
  if (x[i] === ".") {
    i++;
    rest = run();
  }
  if (whole === "" && (rest ?? "") === "") return null;
  let exponent: string | null = null;
  if (x[i] === "e" || x[i] === "E") {
    i++;
    const mark = x[i] === "+" || x[i] === "-" ? x[i++]! : "";
    const power = run();
    if (power === "") return null;
    exponent = mark + power;
  }
  return i === x.length ? { sign, whole, rest, exponent } : null;
}

type Kind = "missing" | "odd" | "absent" | "integer" | "long" | "fraction" | "code" | "marked" | "text";

function kindOf(x: string): Kind {
  if (MISSING.has(x)) return "missing";
  const lower = x.toLowerCase();
  if (ABSENT.has(lower)) return "absent";
  if (ODD.has(/^[+-]/.test(lower) ? lower.slice(1) : lower)) return "odd";
  const parts = numberParts(x);
  if (parts !== null) {
    const { sign, whole, rest, exponent } = parts;
    if (whole.length > 1 && whole.startsWith("0")) return "code";
    if (rest !== null || (exponent !== null && !isDigits(exponent)) || x === "-0") return "fraction";
    if (exponent !== null || sign === "+") return "code";
    return whole.length > 18 ? "long" : "integer";
  }
  const allowed = "0123456789 .,'’(+-−)%\u00a0\u2009\u202f$€£¥₹₩₽₺₫₪¢";
  if ([...x].every((c) => allowed.includes(c)) && [...x].some(digit)) return "marked";
  const [head, power, ...more] = x.split(/[eE]/);
  const [whole, rest, ...others] = (head ?? "").replace(/^[+-]/, "").split(",");
  const comma = (whole === "" || isDigits(whole!)) && isDigits(rest ?? "") && others.length === 0;
  return comma && more.length === 0 && isDigits((power ?? "").replace(/^[+-]/, "")) ? "marked" : "text";
}

interface Form {
  decimal: string;
  group: string;
  currency: string;
  percent: boolean;
}

/** What a text says in a form, with a point and nothing else but digits; null when it is not in that form. */
function inForm(text: string, { decimal, group, currency, percent }: Form): number | null {
  let x = trimmed(
    text
      .replaceAll(/[\u00a0\u2009\u202f]/g, " ")
      .replaceAll("’", "'")
      .replaceAll("−", "-"),
  );
  if (percent) {
    if (!x.endsWith("%")) return null;
    x = x.slice(0, -1);
    if (x.endsWith(" ")) x = x.slice(0, -1);
  }
  let negative = false;
  let signs = 0;
  const takeSign = () => {
    if (x[0] !== "+" && x[0] !== "-") return;
    negative ||= x[0] === "-";
    signs++;
    x = x.slice(1);
  };
  if (currency !== "") {
    if (x.startsWith("(") && x.endsWith(")")) {
      x = x.slice(1, -1);
      negative = true;
      if (!x.startsWith(currency)) return null;
      x = x.slice(currency.length);
      if (x[0] === " ") x = x.slice(1);
      signs = 1;
    } else {
      takeSign();
      if (x.startsWith(currency)) {
        x = x.slice(currency.length);
        if (x[0] === " ") x = x.slice(1);
        takeSign();
      } else if (x.endsWith(currency)) {
        x = x.slice(0, -currency.length);
        if (x.endsWith(" ")) x = x.slice(0, -1);
      } else return null;
    }
    if (signs > 1) return null;
  } else takeSign();
  let power = "";
  const at = x.search(/[eE]/);
  if (at >= 0) {
    if (group !== "" || currency !== "" || percent || !isDigits(x.slice(at + 1).replace(/^[+-]/, "")))
      return null;
    power = x.slice(at);
    x = x.slice(0, at);
  }
  const [whole, rest, ...more] = x.split(decimal);
  if (more.length > 0 || (rest !== undefined && rest !== "" && !isDigits(rest))) return null;
  const groups = group === "" ? [whole!] : whole!.split(group);
  if (whole === "") {
    if (rest === undefined || rest === "") return null;
  } else {
    if (!groups.every(isDigits)) return null;
    if (whole!.length > 1 && whole!.startsWith("0")) return null;
    if (groups.length > 1 && (groups[0]!.length > 3 || groups.slice(1).some((g) => g.length !== 3)))
      return null;
    if (groups.length === 1 && (group === "," || group === ".") && whole!.length > 3) return null;
  }
  const number = Number(
    `${groups.join("") || "0"}.${rest === undefined || rest === "" ? "0" : rest}${power}`,
  );
  return negative ? -number : number;
}

function formOf(values: readonly string[], delimiter: string): Form | null {
  const all = values.join("");
  const currencies = [..."$€£¥₹₩₽₺₫₪¢"].filter((sign) => all.includes(sign));
  if (currencies.length > 1) return null;
  const currency = currencies[0] ?? "";
  const percent = all.includes("%");
  const fits = (decimal: string, group: string) => {
    const form = { decimal, group, currency, percent };
    return values.every((value) => inForm(value, form) !== null) ? form : null;
  };
  const plain = fits(".", "");
  if (plain) return plain;
  const comma = fits(",", "");
  const thousands = fits(".", ",");
  if (comma && thousands) {
    const small = values.some((value) => !value.includes(","));
    if (small || currency === "$" || currency === "£" || delimiter === ",") return thousands;
    return delimiter === ";" ? comma : null;
  }
  return (
    comma ??
    thousands ??
    fits(",", ".") ??
    fits(".", " ") ??
    fits(",", " ") ??
    fits(".", "'") ??
    fits(",", "'")
  );
}

interface Moment {
  kind: "date" | "stamp" | "long" | "zoned" | "time" | "short";
  /** Nanoseconds; null for `short`, whose parts are to be told apart. */
  at: bigint | null;
}

function dayNumber(year: number, month: number, day: number): bigint | null {
  const lengths = [
    31,
    year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28,
    31,
    30,
    31,
    30,
    31,
    31,
    30,
    31,
    30,
    31,
  ];
  if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1]!) return null;
  return BigInt(Math.round(Date.UTC(year, month - 1, day) / 86_400_000));
}

function clockNanos(text: string): bigint | null {
  const found = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?$/.exec(text);
  if (found === null) return null;
  const [hour, minute, second] = [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) return null;
  return (
    BigInt(hour * 3600 + minute * 60 + second) * 1_000_000_000n + BigInt((found[4] ?? "").padEnd(9, "0"))
  );
}

const DAY = 86_400_000_000_000n;

function momentOf(x: string): Moment | null {
  const short = /^(\d{1,2}([/.-])\d{1,2}\2?[/.-](\d{4}|\d{2})|\d{4}[/.]\d{1,2}[/.]\d{1,2})([ T](.*))?$/.exec(
    x,
  );
  if (short !== null && (short[5] === undefined || /^\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?$/.test(short[5]))) {
    return { kind: "short", at: null };
  }
  const clock = clockNanos(x);
  if (clock !== null && (x.split(".")[1] ?? "").length <= 6) return { kind: "time", at: clock };
  const found =
    /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)( ?(?:Z|[+-]\d{2}(?::?\d{2})?))?)?$/.exec(
      x,
    );
  if (found === null) return null;
  const day = dayNumber(Number(found[1]), Number(found[2]), Number(found[3]));
  if (day === null) return null;
  if (found[4] === undefined) return { kind: "date", at: day * DAY };
  const time = clockNanos(found[4]);
  if (time === null) return null;
  const nanos = (found[4].split(".")[1] ?? "").length > 6;
  if (found[5] === undefined) return { kind: nanos ? "long" : "stamp", at: day * DAY + time };
  if (nanos) return null;
  const zone = /([+-])(\d{2}):?(\d{2})?/.exec(found[5]);
  const offset =
    zone === null ? 0 : (zone[1] === "-" ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0));
  return { kind: "zoned", at: day * DAY + time - BigInt(offset) * 60_000_000_000n };
}

/** Dates by slashes, points or hyphens, if they agree and can be told apart. */
function shortDates(values: readonly string[]): bigint[] | null {
  const parsed = values.map((value) => /^(\d+)([/.-])(\d+)([/.-])(\d+)(?:([ T])(.*))?$/.exec(value)!);
  const first = parsed[0]!;
  const colons = (text: string | undefined) => (text ?? "").split(":").length;
  if (
    parsed.some(
      (p) => p[2] !== first[2] || p[4] !== first[2] || p[6] !== first[6] || colons(p[7]) !== colons(first[7]),
    )
  )
    return null;
  if (parsed.some((p) => (p[7] ?? "").includes("."))) return null;
  const readings: bigint[][] = [];
  for (const [y, m, d, short] of [
    [1, 3, 5, false],
    [5, 3, 1, false],
    [5, 1, 3, false],
    [5, 3, 1, true],
    [5, 1, 3, true],
  ] as const) {
    const days = parsed.map((p) => {
      if (p[y]!.length !== (short ? 2 : 4)) return null;
      const year = short ? Number(p[y]) + (Number(p[y]) < 69 ? 2000 : 1900) : Number(p[y]);
      const day = dayNumber(year, Number(p[m]), Number(p[d]));
      const time = p[7] === undefined ? 0n : clockNanos(p[7]);
      return day === null || time === null ? null : day * DAY + time;
    });
    if (days.every((day) => day !== null)) readings.push(days as bigint[]);
  }
  return readings.length === 1 ? readings[0]! : null;
}

/** A column of texts as it must arrive. */
export function exactColumn(texts: readonly string[], delimiter: string): ExactColumn {
  const written = texts.map((text) => (text === "" ? null : text));
  const xs = texts.map(trimmed);
  const kinds = xs.map(kindOf);
  const occurs = (...wanted: Kind[]) => kinds.some((kind) => wanted.includes(kind));
  const isNumber = (i: number) => !["missing", "absent", "odd"].includes(kinds[i]!);
  const numbers = xs.filter((_, i) => isNumber(i));
  const made = (type: string, value: (x: string, i: number) => ExactValue): ExactColumn => ({
    type,
    values: xs.map((x, i) => (kinds[i] === "missing" || kinds[i] === "absent" ? null : value(x, i))),
    written,
  });
  const text = (): ExactColumn => ({
    type: "VARCHAR",
    values: texts.map((value) => (MISSING.has(value) ? null : value)),
    written,
  });
  const odd = (x: string): number | null => {
    const lower = x.toLowerCase();
    if (lower.includes("#")) return null;
    if (lower.includes("nan")) return Number.NaN;
    return lower.startsWith("-") ? -Infinity : Infinity;
  };
  if (numbers.length === 0) return text();
  if (!occurs("text")) {
    if (!occurs("fraction", "code", "marked")) {
      const whole = numbers.map(BigInt);
      const fits = whole.every((n) => n >= -(2n ** 63n) && n < 2n ** 63n);
      return fits ? made("BIGINT", (x, i) => (isNumber(i) ? BigInt(x) : null)) : text();
    }
    const codes = numbers.some((x) => /^[+-]?0\d/.test(x));
    if (occurs("fraction") && !occurs("marked") && !codes) {
      return made("DOUBLE", (x, i) => (isNumber(i) ? Number(x) : odd(x)));
    }
  }
  const moments = xs.map((x, i) => (kinds[i] === "missing" ? null : momentOf(x)));
  const onlyMoments = xs.every((_, i) => kinds[i] === "missing" || moments[i] !== null);
  if (occurs("marked") && !occurs("text") && !onlyMoments && !moments.some((m) => m !== null)) {
    const form = formOf(numbers, delimiter);
    if (form !== null) return made("DOUBLE", (x, i) => (isNumber(i) ? inForm(x, form) : null));
  }
  if (occurs("absent", "odd")) return text();
  const present = xs.filter((_, i) => kinds[i] !== "missing");
  for (const [yes, no] of [
    ["true", "false"],
    ["True", "False"],
    ["TRUE", "FALSE"],
  ]) {
    if (present.every((x) => x === yes || x === no)) return made("BOOLEAN", (x) => x === yes);
  }
  if (!onlyMoments) return text();
  const kindsOf = new Set(moments.flatMap((m) => (m === null ? [] : [m.kind])));
  const only = (...wanted: Moment["kind"][]) => [...kindsOf].every((kind) => wanted.includes(kind));
  if (only("date")) return made("DATE", (_, i) => moments[i]!.at);
  if (only("time")) return made("TIME", (_, i) => moments[i]!.at);
  if (only("date", "stamp")) return made("TIMESTAMP", (_, i) => moments[i]!.at);
  if (only("date", "stamp", "long")) return made("TIMESTAMP_NS", (_, i) => moments[i]!.at);
  if (only("zoned")) return made("TIMESTAMP", (_, i) => moments[i]!.at);
  if (only("short")) {
    const days = shortDates(present);
    let next = 0;
    if (days !== null) return made("TIMESTAMP", () => days[next++]!);
  }
  return text();
}
