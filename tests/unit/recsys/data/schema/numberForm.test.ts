/** @file Which evidence decides how a column's numbers are written, from the shapes of its values. */
import { describe, expect, test } from "vitest";
import {
  describeForm,
  findNumberForm,
  type FormHints,
} from "../../../../../src/recsys/data/schema/numberForm.ts";

const shapeOf = (value: string) => {
  const nines = value.replaceAll(/[0-9]/g, "9");
  return { shape: /^[^0-9]*0/.test(value) ? nines.replace("9", "0") : nines, rows: 1 };
};

/** The form as `decimal|group|currency|percent`, for values between bars. */
function formOf(values: string, hints: Partial<FormHints> = {}): string | null {
  const found = findNumberForm(values.split("|").map(shapeOf), { delimiter: ";", ...hints });
  if (found === null || found === "ambiguous") return found;
  return [found.decimal, found.group, found.currency, found.percent ? "%" : ""].join("|");
}

describe("the form of a column", () => {
  test.each([
    ["2,5|12,25", ",|||"],
    ["0,123|1,234", ",|||"],
    ["-2,5|3", ",|||"],
    ["1,5e-05|2,25", ",|||"],
    ["1.234,5|12", ",|.||"],
    ["1.234.567|5.678", ",|.||"],
    ["1,234,567|5,678", ".|,||"],
    ["1,234.5|12", ".|,||"],
    ["1,234|999", ".|,||"],
    ["1 234|12 345,5", ",| ||"],
    ["1 234|7", ".| ||"],
    ["1'234.50|7", ".|'||"],
    ["$1,234|$999.5", ".|,|$|"],
    ["-$5|$-7.25|($3)", ".||$|"],
    ["1.234,50 €|3,20 €", ",|.|€|"],
    ["12%|3.5 %", ".|||%"],
    ["3,5%|-4 %", ",|||%"],
  ])("%s", (values, form) => {
    expect(formOf(values)).toBe(form);
  });

  test("1,234 alone follows the delimiter, a currency or what the user says, and is open elsewhere", () => {
    expect(formOf("1,234|5,678")).toBe(",|||");
    expect(formOf("1,234|5,678", { delimiter: "," })).toBe(".|,||");
    expect(formOf("1,234|5,678", { delimiter: "\t" })).toBe("ambiguous");
    expect(formOf("$1,234|$5,678", { delimiter: "\t" })).toBe(".|,|$|");
    expect(formOf("1,234|5,678", { delimiter: ",", decimal: "," })).toBe(",|||");
    expect(formOf("1,234|5,678", { delimiter: "\t", decimal: "." })).toBe(".|,||");
    expect(formOf("1.234|5.678", { decimal: "," })).toBe(",|.||");
  });

  test.each([
    "2,5|1.5",
    "1,234|1234,5|1,234.5",
    "$5|€5",
    "$5|6",
    "5%|6",
    "1,23,456|2",
    "00,5|1,5",
    "1 23|4",
    "12,34,567",
    "1.2.3",
    "(5)|6",
    "5 5",
  ])("is none where values disagree: %s", (values) => {
    expect(formOf(values)).toBeNull();
  });

  test("is said in words", () => {
    expect(describeForm({ decimal: ",", group: ".", currency: "€", percent: false })).toBe(
      "decimal commas and points between thousands and the sign €",
    );
  });
});
