/** @file How CSV files are written, where the user says it; whatever is left out is found from the files. */
import { z } from "zod";

const encoding = z.string().refine(isEncoding, {
  error: "expected an encoding such as utf-8, utf-16, latin-1, windows-1252 or shift_jis",
});

const character = (what: string) =>
  z.string().regex(/^[^\r\n]?$/u, `expected ${what} of one character, or none`);

/** Keys of `--csv`, in the library's `SourceOptions` and in a run's configuration. */
export const csvOptions = z
  .strictObject({
    /** Between fields, one to four bytes (default: that of comma, tab, semicolon and bar which the first lines show). */
    delim: z
      .string()
      .regex(/^[^\r\n"]{1,4}$/u, "expected a delimiter of 1 to 4 characters")
      .exactOptional(),
    /** Around fields (default `"`); empty for none. */
    quote: character("a quote").exactOptional(),
    /** Before a quote within quotes (default: the quote itself). */
    escape: character("an escape").exactOptional(),
    /** Decimal sign (default: what each column's values show). */
    decimal: z.enum([".", ","], "expected . or ,").exactOptional(),
    /** Between groups of three digits; "" for nothing (default: what each column's values show). */
    thousands: z.enum(["", ",", ".", " ", "'"], "expected one of , . ' space none").exactOptional(),
    /** Whether the first line holds the columns' names (default: yes); without, they are c0, c1, … */
    header: z.boolean("expected yes or no").exactOptional(),
    /** Encoding by its name on the web, as `TextDecoder` takes it, or `utf-16`, `latin-1` (default: found from the bytes). */
    encoding: encoding.exactOptional(),
    /** Lines before the header, or before the first row, that are left out (default 0). */
    skip: z.int("expected a whole number of lines").min(0).exactOptional(),
  })
  .refine(({ decimal, thousands }) => decimal === undefined || decimal !== thousands, {
    error: "expected two signs for decimal and thousands",
  });

/** How CSV files are written. */
export type CsvOptions = z.infer<typeof csvOptions>;

/** Names of encodings beside those of `TextDecoder`. */
const ALIASES: Readonly<Record<string, string>> = {
  "latin-1": "windows-1252",
  "iso-latin-1": "windows-1252",
  "utf-8-sig": "utf-8",
  cp1252: "windows-1252",
  cp932: "shift_jis",
  cp936: "gbk",
};

/** The name by which `TextDecoder` knows an encoding. */
export function encodingLabel(name: string): string {
  const lower = name.trim().toLowerCase();
  return ALIASES[lower] ?? lower.replace(/^cp(125\d)$/, "windows-$1");
}

function isEncoding(name: string): boolean {
  try {
    return new TextDecoder(encodingLabel(name)).encoding !== "replacement";
  } catch {
    return false;
  }
}
