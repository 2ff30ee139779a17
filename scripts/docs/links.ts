/** @file Relative links of Markdown pages: to files that are there, and to headings that they have. */
import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { fileExists } from "../../src/base/files.ts";

/** The anchors of a page's headings, as GitHub names them. */
export function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  const prose = page.replace(/^```[^]*?^```/gm, "");
  for (const [, heading] of prose.matchAll(/^#+ +(.+?) *$/gm)) {
    const name = heading!
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    let anchor = name;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${name}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}

/**
 * What is wrong with the links of a page.
 * @param file path of the page below `root`
 */
export async function brokenLinks(root: string, file: string, page: string): Promise<string[]> {
  const problems: string[] = [];
  const prose = page.replace(/^```[^]*?^```/gm, "");
  for (const [, path, anchor] of prose.matchAll(/\]\(([^)\s#]*)(?:#([^)\s]*))?\)/g)) {
    if (/^[a-z]+:/.test(path!)) continue;
    const target = path === "" ? file : normalize(join(dirname(file), path!));
    const isThere = path === "" || (await fileExists(join(root, target)));
    if (!isThere) problems.push(`${file} links to a file that is not there, got ${path}`);
    else if (anchor !== undefined && target.endsWith(".md")) {
      const text = path === "" ? page : await readFile(join(root, target), "utf8");
      if (!anchorsOf(text).has(anchor))
        problems.push(`${file} links to a heading that is not there, got ${path}#${anchor}`);
    }
  }
  return problems;
}
