/** @file Classifications as text: tab-separated, JSON lines, and the columns of InterProScan's TSV. */
import { createHash } from "node:crypto";
import { visibleJson } from "../../../base/visibleText.ts";
import type { Classification } from "../../../protein/classify/classifyFasta.ts";
import type { BadRecord } from "../../../protein/fasta/fasta.ts";

/** What every line may state. */
export interface FormatContext {
  /** The model's name. */
  model: string;
  date: Date;
  threshold: number;
  /** Whether candidates behind the first are left out below the threshold. */
  isCut: boolean;
}

/** A format's name. */
export type FormatName = keyof typeof classificationFormats;

interface Format {
  /** What comes first; may be empty. */
  head: string;
  /** The lines of a record, each with its line end. */
  rows(record: Classification | BadRecord, context: FormatContext): string;
}

const COLUMNS = [
  "query_id",
  "length",
  "rank",
  "family",
  "probability",
  "candidate",
  "windows",
  "status",
  "model",
  "message",
];

const line = (cells: readonly (string | number)[]): string => `${cells.join("\t")}\n`;

const SEPARATORS: Readonly<Record<string, string>> = { "\t": "\\t", "\r": "\\r", "\n": "\\n" };

/** Text in one cell: exact, but for what would end the cell or the line. */
const cell = (text: string): string => text.replaceAll(/[\t\r\n]/g, (mark) => SEPARATORS[mark]!) || "-";

/** Probabilities to 6 digits, which is about what float32 sums keep. */
const digits = (probability: number): string => probability.toFixed(6);

/** The candidates that are listed: always the first. */
function listed({ candidates }: Classification, { isCut, threshold }: FormatContext) {
  return candidates.filter(({ probability }, i) => i === 0 || !isCut || probability >= threshold);
}

const tsv: Format = {
  head: line(COLUMNS),
  rows(record, context) {
    if (record.bad) {
      const cells = [cell(record.id), "-", "-", "-", "-", "-", "-", record.code, context.model];
      return line([...cells, cell(record.message)]);
    }
    const { id, residues, isUnknown, windows } = record;
    return listed(record, context)
      .map(({ family, probability }, rank) =>
        line([
          cell(id),
          residues.length,
          rank + 1,
          isUnknown ? "unknown" : cell(family),
          digits(probability),
          cell(family),
          windows,
          isUnknown ? "unknown" : "known",
          context.model,
          "-",
        ]),
      )
      .join("");
  },
};

const json: Format = {
  head: "",
  rows(record, context) {
    const { id, description } = record;
    if (record.bad) {
      const { code, message, fix } = record;
      return `${visibleJson({ event: "classification", id, description, line: record.line, error: { code, message, fix } })}\n`;
    }
    const { isUnknown, windows, residues, attention } = record;
    const candidates = listed(record, context);
    const found = {
      event: "classification",
      id,
      description,
      line: record.line,
      length: residues.length,
      family: isUnknown ? null : candidates[0]!.family,
      isUnknown,
      candidates,
      windows,
      model: context.model,
      ...(attention && { attention }),
    };
    return `${visibleJson(found)}\n`;
  },
};

const two = (n: number): string => String(n).padStart(2, "0");

/**
 * InterProScan lists matches only: unknown and unusable records have no line. Start and stop are those of the window
 * that the family was found in; the domain lies within.
 */
const interpro: Format = {
  head: "",
  rows(record, context) {
    if (record.bad || record.isUnknown) return "";
    const { date } = context;
    const day = `${two(date.getDate())}-${two(date.getMonth() + 1)}-${date.getFullYear()}`;
    const md5 = createHash("md5").update(record.residues).digest("hex");
    const { length } = record.residues;
    return listed(record, context)
      .map(({ family, probability, start, end }) =>
        line([
          cell(record.id),
          md5,
          length,
          "Pareto",
          cell(family),
          context.model,
          start,
          end,
          digits(probability),
          "T",
          day,
          "-",
          "-",
        ]),
      )
      .join("");
  },
};

/** The formats by name. */
export const classificationFormats = { tsv, json, interpro } satisfies Record<string, Format>;

/** First line of the attention's file. */
export const attentionHead = line(["query_id", "start", "end", "weight", "residues"]);

/** A line for each stretch of residues that got more attention than the mean. */
export function attentionRows({ id, residues, attention = [] }: Classification): string {
  return attention
    .map(({ start, end, weight }) =>
      line([cell(id), start, end, weight.toFixed(6), residues.slice(start - 1, end)]),
    )
    .join("");
}
