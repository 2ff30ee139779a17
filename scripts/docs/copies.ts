/** @file What pages copy from elsewhere: example files, and the tables of saved outputs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A page with the example after each `<!-- file: PATH -->` as that file is now, imports as a user writes them. */
export async function withExamples(page: string, root: string): Promise<string> {
  let text = page;
  for (const [whole, path, language] of page.matchAll(/<!-- file: (\S+) -->\n\n```(\w+)\n[^]*?\n```/g)) {
    const code = (await readFile(join(root, path!), "utf8")).replace(/^\/\*\*[^]*?\*\/\n/, "");
    const shown = code.replaceAll(/"(?:\.\.\/)+src\/(\w+)\/index\.ts"/g, '"pareto/$1"').trimEnd();
    text = text.replace(whole, () => `<!-- file: ${path} -->\n\n\`\`\`${language}\n${shown}\n\`\`\``);
  }
  return text;
}

/** A page with the table of a saved output between `<!-- NAME table -->` and `<!-- end of NAME table -->`. */
export async function withTable(page: string, name: string, output: string | undefined): Promise<string> {
  if (output === undefined) return page;
  const lines = (await readFile(output, "utf8")).split("\n");
  const rule = lines.findLastIndex((line) => /^[-─]{3,}[-─ |]*$/.test(line));
  if (rule < 1) throw new Error(`no table in ${output}`);
  // A row has the rule's columns; the first line that has not, or is empty, comes after the table. The demo's rows stand
  // apart; the place of its page comes after them.
  const isRow = (line: string) =>
    name === "demo"
      ? !line.includes("pictures and runs:")
      : line.trim() !== "" && line.includes(" | ") === lines[rule]!.includes(" | ");
  const after = lines.findIndex((line, i) => i > rule && !isRow(line));
  const shown = lines
    .slice(rule - 1, after < 0 ? undefined : after)
    .map((line) => line.trimEnd())
    .join("\n")
    .trimEnd();
  const place = new RegExp(`(<!-- ${name} table -->\n)[^]*?(\n<!-- end of ${name} table -->)`);
  return page.replace(
    place,
    (_, open: string, close: string) => `${open}\n\`\`\`\n${shown}\n\`\`\`\n${close}`,
  );
}
