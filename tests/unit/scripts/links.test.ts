/** @file Links of the documentation: headings' anchors, and what is found wrong. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { anchorsOf, brokenLinks } from "../../../scripts/docs/links.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-links-"));
  await mkdir(join(root, "docs"));
  await writeFile(join(root, "docs", "other.md"), "# Other\n\n## Speed\n");
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("anchors are lower case, without punctuation, numbered where a heading comes again", () => {
  const page =
    "# The paper's options\n\n## Speed\n\n### By `context`: 2 + 2\n\n## Speed\n\n```bash\n# no heading\n```\n## [Link](x.md) é\n";
  expect([...anchorsOf(page)]).toEqual([
    "the-papers-options",
    "speed",
    "by-context-2--2",
    "speed-1",
    "link-é",
  ]);
});

test("links to files and headings that are not there are told, others are not", async () => {
  const page = [
    "# Page",
    "[a](other.md) [b](other.md#speed) [c](#page) [d](https://example.org/x#y) [e](other.md#none)",
    "[f](gone.md) ![g](gone.svg) [h](#none)",
    "```",
    "[not](followed.md)",
    "```",
  ].join("\n");
  expect(await brokenLinks(root, "docs/page.md", page)).toEqual([
    "docs/page.md links to a heading that is not there, got other.md#none",
    "docs/page.md links to a file that is not there, got gone.md",
    "docs/page.md links to a file that is not there, got gone.svg",
    "docs/page.md links to a heading that is not there, got #none",
  ]);
});
