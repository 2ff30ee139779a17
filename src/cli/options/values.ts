/** @file How values of command-line options are read: each either gives a value or says what was expected. */
import { ParetoError } from "../../base/errors.ts";

function bad(option: string, expected: string, text: string, fix: string): ParetoError {
  return new ParetoError({
    code: "CLI_OPTION",
    where: option,
    message: `${option} takes ${expected}, got "${text}"`,
    fix,
  });
}

/** A whole number within limits. */
export function wholeNumber(option: string, low: number, high = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text.replaceAll("_", ""));
    if (text.trim() !== "" && Number.isInteger(value) && value >= low && value <= high) return value;
    const limits = high === Number.MAX_SAFE_INTEGER ? `${low} or more` : `${low} to ${high}`;
    throw bad(option, `a whole number, ${limits}`, text, `Say e.g. ${option} ${low}.`);
  };
}

/** A number within limits, the lower one left out. */
export function positiveNumber(option: string, high = Number.POSITIVE_INFINITY) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() !== "" && value > 0 && value <= high) return value;
    const limits = Number.isFinite(high) ? `above 0, at most ${high}` : "above 0";
    throw bad(option, `a number ${limits}`, text, `Say e.g. ${option} ${Math.min(high, 0.05)}.`);
  };
}

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/** Bytes, with a unit: `256MiB`, `1.5 GiB`, `4096`. */
export function byteCount(option: string) {
  return (text: string): number => {
    const [, digits, unit] = /^\s*([\d_.]+)\s*([a-z]*)\s*$/i.exec(text) ?? [];
    const scale = unit === "" ? 1 : UNITS[(unit ?? "?").toLowerCase()];
    const value = Number(digits?.replaceAll("_", "")) * (scale ?? Number.NaN);
    if (value >= 1) return Math.floor(value);
    throw bad(option, "a size in bytes, KiB, MiB or GiB", text, `Say e.g. ${option} 256MiB.`);
  };
}

/** Names between commas. */
export function nameList(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Layer widths between commas; an empty text is no layer. */
export function widthList(option: string) {
  const width = wholeNumber(option, 1, 65_536);
  return (text: string): number[] => nameList(text).map(width);
}

/** One of some words. */
export function oneOf<T extends string>(option: string, words: readonly T[]) {
  return (text: string): T => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw bad(option, words.join(", "), text, `Say one of these, e.g. ${option} ${words[0]}.`);
  };
}

/** Three shares of a whole: training, validation and test. */
export function fractionList(option: string) {
  return (text: string): [number, number, number] => {
    const parts = text.split(",").map(Number);
    const fits = parts.length === 3 && parts.every((part) => part > 0);
    if (fits) return parts as [number, number, number];
    throw bad(
      option,
      "three positive numbers: training, validation and test",
      text,
      `Say e.g. ${option} 70,10,20.`,
    );
  };
}
