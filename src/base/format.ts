/**
 * @file Numbers as people read them: thousands separators, binary bytes, durations, percentages. Pure; the same
 * words in the report and on the terminal. What is unknown (null, NaN) is an en dash.
 */

type Maybe = number | null | undefined;

/** What stands for a value that is not known. */
export const UNKNOWN = "–";

const known = (value: Maybe): value is number =>
  value !== null && value !== undefined && !Number.isNaN(value);

/** `1,234,567`, or with decimals `1,234.50`. */
export function formatCount(value: Maybe, decimals = 0): string {
  if (!known(value)) return UNKNOWN;
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** A figure of quality to fixed decimals: `0.8123`. */
export function formatFixed(value: Maybe, decimals = 4): string {
  return known(value) ? value.toFixed(decimals) : UNKNOWN;
}

/** A share in percent: `54.3 %`. */
export function formatShare(value: Maybe, decimals = 1): string {
  return known(value) ? `${(100 * value).toFixed(decimals)} %` : UNKNOWN;
}

const BYTE_UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes in binary units: `512 B`, `4.00 MiB`, `2.01 GiB`. */
export function formatBytes(bytes: Maybe): string {
  if (!known(bytes)) return UNKNOWN;
  if (Math.abs(bytes) < 1024) return `${formatCount(bytes)} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${formatCount(value, decimals)} ${BYTE_UNITS[unit]!}`;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** A duration: `83 ms`, `4.2 s`, `3 min 05 s`, `2 h 03 min`. */
export function formatSeconds(seconds: Maybe): string {
  if (!known(seconds) || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** A rate: `61,204 samples/s`, below ten with one decimal. */
export function formatRate(value: Maybe, unit: string): string {
  return known(value) ? `${formatCount(value, value < 10 ? 1 : 0)} ${unit}/s` : UNKNOWN;
}
