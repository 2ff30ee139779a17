/**
 * @file Quoting of names, strings and lists for SQL text. Every name and value that reaches DuckDB passes here, so odd
 * column names (spaces, quotes, keywords) and odd paths are safe. Pure.
 */

/** `"name"`, with inner quotes doubled. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `'text'`, with inner quotes doubled. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `['a', 'b']`. */
export function quoteList(texts: readonly string[]): string {
  return `[${texts.map(quoteText).join(", ")}]`;
}
