/**
 * @file The texts of errors, read from the sources: messages in one form, and fixes that name only what exists. A text
 * that a helper is given is seen where the helper makes the error, if it is a literal there.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";
import { allCommands } from "../../../src/cli/commandTree.ts";
import { commonOptions } from "../../../src/cli/options/common.ts";
import { syntax } from "../../../src/cli/options/spec.ts";

const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** Stands for a value in a text. */
const VALUE = "\u0000";

/** A text of the sources and where it stands. */
interface Text {
  at: string;
  text: string;
}

/** Messages and fixes of errors, and every text. */
const found = { messages: [] as Text[], fixes: [] as Text[], all: [] as Text[] };

for (const name of readdirSync(join(repository, "src"), { recursive: true }) as string[]) {
  if (name.endsWith(".ts") && !name.includes("assembly")) collect(name);
}

function collect(name: string): void {
  const source = ts.createSourceFile(
    name,
    readFileSync(join(repository, "src", name), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const textsAt = (node: ts.Expression): Text[] => {
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    return textsOf(node).map((text) => ({ at: `src/${name}:${line}`, text }));
  };
  const visit = (node: ts.Node): void => {
    if (ts.isObjectLiteralExpression(node)) {
      const { message, fix } = assigned(node);
      if (message && fix) found.messages.push(...textsAt(message));
      if (fix) found.fixes.push(...textsAt(fix));
    }
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) found.all.push(...textsAt(node));
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** The expressions of an object's properties. */
function assigned(node: ts.ObjectLiteralExpression): Partial<Record<string, ts.Expression>> {
  const properties = node.properties.filter(ts.isPropertyAssignment);
  return Object.fromEntries(properties.map(({ name, initializer }) => [name.getText(), initializer]));
}

/** What an expression can be as a text; none where that is a value alone. */
function textsOf(node: ts.Expression): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isParenthesizedExpression(node)) return textsOf(node.expression);
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)];
  if (ts.isTemplateExpression(node))
    return [node.head.text + node.templateSpans.map(({ literal }) => VALUE + literal.text).join("")];
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    const [left, right] = [node.left, node.right].map((side) => textsOf(side)[0] ?? VALUE);
    return [left! + right!];
  }
  return [];
}

/** Texts that break a rule, as lines. */
const breaking = (texts: readonly Text[], isRight: (text: string) => boolean): string[] =>
  texts.filter(({ text }) => !isRight(text)).map(({ at, text }) => `${at}: ${text.replaceAll(VALUE, "…")}`);

test("there are texts to check", () => {
  expect(found.messages.length).toBeGreaterThan(200);
  expect(found.fixes.length).toBeGreaterThan(200);
});

test("messages start in lower case, behind the name of what is called if any; acronyms stay", () => {
  const named = new RegExp(`^(?:${VALUE}|[\\w.]+): `);
  const isLower = (text: string) =>
    new RegExp(`^([a-z"'(@\\d${VALUE}]|--|[A-Z]{2})`).test(text.replace(named, ""));
  expect(breaking(found.messages, isLower)).toEqual([]);
});

test("messages end in the value received", () => {
  const isPassedOn = (text: string) => new RegExp(`^[\\w ]*:? ?${VALUE}$`).test(text);
  expect(breaking(found.messages, (text) => /\bgot /.test(text) || isPassedOn(text))).toEqual([]);
});

test("fixes are sentences, or commands to run", () => {
  const isSentence = (text: string) =>
    new RegExp(`^[A-Z"\`${VALUE}]`).test(text) && new RegExp(`([.?!${VALUE}]|: \\S.*)$`, "s").test(text);
  expect(breaking(found.fixes, isSentence)).toEqual([]);
});

/** Options of other programs that a text may name: NVRTC's, V8's and the Hugging Face hub's. */
const foreign =
  "gpu-architecture std fmad max-semi-space-size semi-space-growth-factor optimize-for-size local-dir".split(
    " ",
  );

test("options that a text names exist", async () => {
  const known = new Set(["help", "version", ...foreign]);
  for (const { command } of await allCommands()) {
    for (const [name, spec] of Object.entries({ ...command.options, ...commonOptions }))
      known.add(syntax(name, spec).replace(/^--/, "").split(" ")[0]!);
  }
  const unknown = (text: string) =>
    [...text.matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)(?<!-)(?![\w-])/g)].some(([, name]) => !known.has(name!));
  // Pages have variables of CSS, which are written like options.
  const texts = found.all.filter(({ at }) => !at.startsWith("src/report/"));
  expect(breaking(texts, (text) => !unknown(text))).toEqual([]);
});

test("commands that a text names exist", async () => {
  const names = (await allCommands()).map(({ name }) => name);
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const isKnown = (text: string) =>
    [...text.matchAll(/`pareto ([a-z ]+)/g)].every(([, words]) =>
      names.some((name) => `pareto ${words!.trim()} `.startsWith(`${name} `)),
    ) && [...text.matchAll(/npm run ([\w:-]+)/g)].every(([, script]) => Object.hasOwn(scripts, script!));
  expect(breaking(found.all, isKnown)).toEqual([]);
});
