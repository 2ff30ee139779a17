/** @file Numbers as people read them. */
import { describe, expect, it } from "vitest";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatRate,
  formatSeconds,
  formatShare,
  UNKNOWN,
} from "../../../src/base/format.ts";

describe("formats", () => {
  it.each([
    [0, "0 B"],
    [1023, "1,023 B"],
    [1024, "1.00 KiB"],
    [4_194_304, "4.00 MiB"],
    [44_040_192, "42.0 MiB"],
    [268_435_456, "256 MiB"],
    [2_160_804_928, "2.01 GiB"],
    [5e15, "4,547 TiB"],
  ])("%d bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0.0834, "83 ms"],
    [0.9999, "1.0 s"],
    [4.24, "4.2 s"],
    [59.96, "1 min 00 s"],
    [185, "3 min 05 s"],
    [3599.7, "1 h 00 min"],
    [7380, "2 h 03 min"],
  ])("%d seconds are %s", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

  it("groups thousands and keeps decimals", () => {
    expect(formatCount(1234567)).toBe("1,234,567");
    expect(formatCount(1234.5, 2)).toBe("1,234.50");
    expect(formatFixed(0.81234)).toBe("0.8123");
    expect(formatShare(0.5432)).toBe("54.3 %");
    expect(formatRate(61204.4, "samples")).toBe("61,204 samples/s");
    expect(formatRate(2.25, "rows")).toBe("2.3 rows/s");
  });

  it("shows what is not known as a dash", () => {
    const formats = [formatCount, formatFixed, formatShare, formatBytes, formatSeconds];
    for (const format of formats) {
      for (const value of [null, undefined, Number.NaN]) expect(format(value)).toBe(UNKNOWN);
    }
    expect(formatSeconds(Number.POSITIVE_INFINITY)).toBe(UNKNOWN);
  });
});
