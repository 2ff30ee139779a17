/** @file The text of `--csv`. */
import { describe, expect, it } from "vitest";
import { csvText, readCsvOptions } from "../../../../src/cli/options/csv.ts";

describe("--csv", () => {
  it.each([
    [
      "delim=;,decimal=,,header=no,encoding=latin-1",
      { delim: ";", decimal: ",", header: false, encoding: "latin-1" },
    ],
    ["delim=,,decimal=.", { delim: ",", decimal: "." }],
    ["decimal=,", { decimal: "," }],
    ["delim=,", { delim: "," }],
    ["delim=\\t", { delim: "\t" }],
    ["delim=tab,thousands=none", { delim: "\t", thousands: "" }],
    ["delim=\t", { delim: "\t" }],
    ["thousands=,,decimal=.,delim=|", { thousands: ",", decimal: ".", delim: "|" }],
    ["thousands=space,quote=none,escape=\\", { thousands: " ", quote: "", escape: "\\" }],
    ["quote=',skip=3,header=yes", { quote: "'", skip: 3, header: true }],
    ["encoding=shift_jis", { encoding: "shift_jis" }],
  ])("%s", (text, values) => {
    expect(readCsvOptions(text)).toEqual(values);
    expect(csvText.parse(values)).toEqual(values);
  });

  it.each([
    ["delimiter=;", /no such key, got "delimiter"/],
    ["delim=;,headr=no", /no such key, got "headr"/],
    [";", /no such key, got ";"/],
    ["", /no such key, got ""/],
    ["header=maybe", /expected yes or no for --csv header, got "maybe"/],
    ["decimal=;", /expected \. or , for --csv decimal, got ";"/],
    ["encoding=latin-99", /expected an encoding .* got "latin-99"/],
    ["delim=", /delimiter of 1 to 4 characters for --csv delim, got ""/],
    ["skip=-1", /skip, got "-1"/],
    ["delim=;,delim=,", /names a key twice, got "delim"/],
  ])("refuses %s", (text, message) => {
    expect(() => readCsvOptions(text)).toThrow(message);
  });

  it("refuses one sign for decimals and thousands", () => {
    expect(csvText.safeParse("decimal=,,thousands=,").error?.issues[0]?.message).toMatch(/two signs/);
    expect(csvText.parse("decimal=,,thousands=.")).toEqual({ decimal: ",", thousands: "." });
  });
});
