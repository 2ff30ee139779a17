import { expect, it } from "vitest";
import { tourTable, type TourRow } from "../../../../src/cli/tour/tourTable.ts";

const row = (system: string, sentence: string): TourRow => ({
  system,
  against: "the same model without it, on 300,000 made clicks",
  quality: { what: "AUC", before: "0.7500", after: "0.7498" },
  cost: { what: "bytes of embedding rows", before: "26.9 MiB", after: "10.9 MiB" },
  sentence,
  links: [],
});

it("shows a row a system within 100 columns, every word of its cells", () => {
  const rows = [
    row("FAE", "Trained half of the inputs from hot rows alone."),
    row("ProFamNet", "Named families."),
  ];
  const lines = tourTable(rows).split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(lines[0]).toMatch(/^system +measured against +quality +time or bytes +what it did$/);
  const starts = lines.filter((line) => /^\S/.test(line)).map((line) => line.split(" ")[0]);
  expect(starts.filter((word) => !word!.startsWith("─"))).toEqual(["system", "FAE", "ProFamNet"]);
  const words = lines.join(" ").split(/\s+/);
  for (const word of "0.7500 → 0.7498 AUC 26.9 10.9 300,000 clicks Trained alone. families.".split(" "))
    expect(words).toContain(word);
});
