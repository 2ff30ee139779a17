/** @file The synthetic tasks: exact lengths, answers that follow from the text, the same text for the same seed. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeTrainingText } from "../../../../src/llm/tasks/trainingTexts.ts";
import type { TaskItem } from "../../../../src/llm/tasks/task.ts";
import { TASK_NAMES, taskNamed, type TaskName } from "../../../../src/llm/tasks/tasks.ts";
import { ASK, COPY, END, FILLER_TOKENS, KEYS, REPEAT, WORDS } from "../../../../src/llm/tasks/words.ts";
import { wordTokenizer } from "../../../../src/llm/tasks/wordTokenizer.ts";
import { openTokenizerJson } from "../../../../src/llm/tokenizer/tokenizerJson.ts";

const isKey = (token: number) => token >= KEYS.first && token < KEYS.first + KEYS.count;
const isFiller = (token: number) => token >= FILLER_TOKENS.first;

/** What a reader who follows each name to its value would answer to the question at the end of a text. */
function readerSays(text: readonly number[]): number[] {
  if (text.at(-1) === REPEAT) {
    const start = text.indexOf(COPY);
    return text.slice(start + 1, text.indexOf(END, start) + 1);
  }
  expect(text.at(-2)).toBe(ASK);
  const meaning = new Map<number, number>();
  for (let i = 0; i + 1 < text.length - 2; i++) {
    if (isKey(text[i]!) && !meaning.has(text[i]!) && text[i - 1] !== ASK) {
      meaning.set(text[i]!, text[i + 1]!);
      i++;
    }
  }
  let answer = meaning.get(text.at(-1)!)!;
  while (isKey(answer)) answer = meaning.get(answer)!;
  return [answer];
}

const textOf = ({ prompt, forced }: TaskItem) => [...prompt, ...forced];

describe.each(TASK_NAMES)("items of %s", (name: TaskName) => {
  test.each([128, 200, 1024])("have exactly %i tokens, all of them words", (tokens) => {
    for (const protocol of ["in-prompt", "after"] as const) {
      const task = taskNamed(name, protocol);
      for (let index = 0; index < 20; index++) {
        const { prompt, forced, answer } = task.item(index, { tokens, seed: 3 });
        expect(prompt.length + forced.length + answer.length).toBe(tokens);
        for (const token of prompt) {
          expect(token).toBeGreaterThan(1);
          expect(token).toBeLessThan(WORDS.length);
        }
      }
    }
  });

  test("are answered by who follows each name to its value", () => {
    const task = taskNamed(name, "after");
    for (let index = 0; index < 60; index++) {
      const item = task.item(index, { tokens: 160 + index, seed: 5 });
      expect([...item.answer]).toEqual(readerSays(textOf(item)));
    }
  });

  test("are the same for the same seed and index only", () => {
    const task = taskNamed(name, "after");
    const item = (index: number, seed: number) => textOf(task.item(index, { tokens: 256, seed }));
    expect(item(7, 1)).toEqual(item(7, 1));
    expect(item(7, 1)).not.toEqual(item(8, 1));
    expect(item(7, 1)).not.toEqual(item(7, 2));
  });

  test("have their question in the prompt too where the protocol says so, but for delayed recall", () => {
    for (let index = 0; index < 20; index++) {
      const item = taskNamed(name, "in-prompt").item(index, { tokens: 256, seed: 1 });
      if (name === "delayed-recall") {
        expect(item).toEqual(taskNamed(name, "after").item(index, { tokens: 256, seed: 1 }));
        continue;
      }
      const { prompt, forced, answer } = item;
      expect(prompt.slice(-forced.length)).toEqual(forced);
      expect([...answer]).toEqual(readerSays([...prompt]));
    }
  });

  test("refuse a length that cannot hold the question", () => {
    expect(() => taskNamed(name, "after").item(0, { tokens: 7, seed: 1 })).toThrow(
      expect.objectContaining({ code: "LLM_TASK_LENGTH" }),
    );
  });
});

describe("depth", () => {
  test("of recall is where the name stands, and covers the whole text", () => {
    const depths: number[] = [];
    for (let index = 0; index < 200; index++) {
      const { prompt, forced, depth } = taskNamed("recall", "after").item(index, { tokens: 512, seed: 9 });
      expect(Math.round(depth! * prompt.length)).toBe(prompt.indexOf(forced.at(-1)!));
      depths.push(depth!);
    }
    expect(Math.min(...depths)).toBeLessThan(0.1);
    expect(Math.max(...depths)).toBeGreaterThan(0.9);
  });

  test("of delayed recall is in the last tokens of the prompt, or behind it", () => {
    for (let index = 0; index < 40; index++) {
      const { prompt, forced } = taskNamed("delayed-recall", "after").item(index, { tokens: 512, seed: 2 });
      const key = forced.at(-1)!;
      const [inPrompt, inForced] = [prompt.indexOf(key), forced.indexOf(key)];
      if (inPrompt >= 0) expect(inPrompt).toBeGreaterThanOrEqual(prompt.length - 16);
      else expect(inForced).toBe(0);
      const waited = [...forced].filter(isFiller).length;
      expect(waited).toBeGreaterThanOrEqual(50);
    }
  });
});

describe("training texts", () => {
  const row = (length: number) => ({ tokens: new Int32Array(length), targets: new Int32Array(length) });

  test.each([32, 64, 256, 1024])("texts of %i tokens mark answers that follow from the text", (length) => {
    let marked = 0;
    for (let index = 0; index < 40; index++) {
      const { tokens, targets } = row(length);
      writeTrainingText(1, index, { tokens, targets });
      const text = [...tokens];
      for (const [i, target] of targets.entries()) {
        if (target < 0) continue;
        marked++;
        if (i + 1 < length) expect(target).toBe(tokens[i + 1]);
        if (text[i - 1] === ASK) expect([target]).toEqual(readerSays(text.slice(0, i + 1)));
        else if (text[i] === REPEAT) expect(target).toBe(readerSays(text.slice(0, i + 1))[0]);
      }
    }
    expect(marked).toBeGreaterThan(40 * 3);
  });

  test("texts are the same for the same seed and index, and none is an item of evaluation", () => {
    const [first, again] = [row(256), row(256)];
    writeTrainingText(1, 0, first);
    writeTrainingText(1, 0, again);
    expect(first).toEqual(again);
    const item = textOf(taskNamed("recall", "after").item(0, { tokens: 256, seed: 1 }));
    expect(item.slice(0, 64)).not.toEqual([...first.tokens].slice(0, 64));
  });
});

test("the words' tokenizer.json cuts a text into its words and joins them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pareto-words-"));
  try {
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(wordTokenizer()));
    const tokenizer = await openTokenizerJson(folder);
    const { prompt, forced } = taskNamed("copy", "after").item(1, { tokens: 100, seed: 1 });
    const tokens = [...prompt, ...forced];
    const text = tokens.map((token) => WORDS[token]).join(" ");
    expect(tokenizer.encode(text)).toEqual(tokens);
    expect(tokenizer.decode(tokens)).toBe(text);
    expect(tokenizer.encode("river nonsense")).toEqual([WORDS.indexOf("river"), 1]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
