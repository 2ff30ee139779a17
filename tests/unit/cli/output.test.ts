/** @file What the command line writes, where, and how often. */
import { describe, expect, it } from "vitest";
import { exitStatus, formatTable, Output, type OutputOptions } from "../../../src/cli/output.ts";
import type { TextStream } from "../../../src/cli/progress.ts";
import { ParetoError } from "../../../src/base/errors.ts";
import type { ProgressEvent } from "../../../src/run/events.ts";

const ESCAPE = "\u001b";

/** A stream that remembers, a clock that stands still until moved, and an output on them. */
function setup(options: Partial<OutputOptions> = {}, terminal: { columns: number } | null = null) {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): TextStream => ({
    write: (text: string) => (written[name] += text),
    ...(terminal === null ? {} : { isTTY: true, columns: terminal.columns }),
  });
  const clock = { now: 0 };
  const output = new Output({
    json: false,
    quiet: false,
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env: {},
    now: () => clock.now,
    ...options,
  });
  return { output, written, clock };
}

const progress = (done: number, changes: Partial<ProgressEvent> = {}): ProgressEvent => ({
  event: "progress",
  task: "train",
  done,
  total: 1000,
  unit: "samples",
  rate: 100,
  values: { loss: 0.45214 },
  ...changes,
});

const failure = new ParetoError({
  code: "FILE_MISSING",
  where: "clicks.csv",
  message: "no such file, got clicks.csv",
  fix: "Check the path.",
});

/** What is visible of the last state of a live line. */
const lastLine = (text: string): string =>
  text
    .split(`\r${ESCAPE}[2K`)
    .at(-1)!
    .replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, "g"), "");

describe("progress on a terminal", () => {
  it("draws one live line with task, bar, percent, rate, time left and loss", () => {
    const { output, written } = setup({}, { columns: 120 });
    output.onEvent(progress(500));
    expect(lastLine(written.stderr)).toBe(
      `train      ${"█".repeat(12)}${"░".repeat(12)}  50 %  500/1,000 samples  100 samples/s  ETA 5.0 s  loss 0.4521`,
    );
    expect(written.stderr).not.toContain("\n");
    expect(written.stdout).toBe("");
  });

  it("never gets wider than the terminal", () => {
    for (const columns of [20, 40, 60, 80, 100]) {
      const { output, written } = setup({}, { columns });
      output.onEvent(progress(500));
      expect(lastLine(written.stderr).length).toBeLessThan(columns);
    }
  });

  it("draws at most ten times a second, and always the end", () => {
    const { output, written, clock } = setup({}, { columns: 100 });
    for (let i = 0; i < 100; i++) {
      clock.now = i * 10;
      output.onEvent(progress(i));
    }
    expect(written.stderr.split("\r").length - 1).toBe(10);
    output.onEvent(progress(1000));
    expect(lastLine(written.stderr)).toContain("100 %");
    expect(lastLine(written.stderr)).not.toContain("ETA");
  });

  it("keeps the live line below notices and removes it before results", () => {
    const { output, written, clock } = setup({}, { columns: 100 });
    output.onEvent(progress(10));
    output.onEvent({ event: "notice", level: "warning", code: "W", message: "threshold clamped" });
    expect(written.stderr).toContain("threshold clamped\n");
    expect(lastLine(written.stderr)).toContain("train");
    clock.now = 1000;
    output.result("AUC 0.77");
    expect(lastLine(written.stderr)).toBe("");
    expect(written.stdout).toBe("AUC 0.77\n");
  });

  it("shows the latest validation AUC beside training", () => {
    const { output, written } = setup({}, { columns: 140 });
    output.onEvent({
      event: "metrics",
      part: "validation",
      epoch: 0,
      step: 5,
      seconds: 1,
      logLoss: 0.48,
      auc: 0.7712,
    });
    output.onEvent(progress(500));
    expect(lastLine(written.stderr)).toContain("val AUC 0.7712");
  });

  it("uses colour unless NO_COLOR is set, and no live line on a dumb terminal", () => {
    const colored = setup({}, { columns: 100 });
    colored.output.error(failure);
    expect(colored.written.stderr).toContain(`${ESCAPE}[31m`);
    const plain = setup({ env: { NO_COLOR: "1" } }, { columns: 100 });
    plain.output.onEvent(progress(1));
    plain.output.error(failure);
    expect(plain.written.stderr).not.toMatch(new RegExp(`${ESCAPE}\\[\\d+m`));
    const dumb = setup({ env: { TERM: "dumb" } }, { columns: 100 });
    dumb.output.onEvent(progress(1));
    expect(dumb.written.stderr).not.toContain(ESCAPE);
  });

  it("works out the rate itself when the event has none", () => {
    const { output, written, clock } = setup({}, { columns: 100 });
    output.onEvent(progress(0, { rate: null }));
    clock.now = 2000;
    output.onEvent(progress(400, { rate: null }));
    expect(lastLine(written.stderr)).toContain("200 samples/s  ETA 3.0 s");
  });
});

describe("progress elsewhere", () => {
  it("writes plain lines, at most one in five seconds, and the end of what it announced", () => {
    const { output, written, clock } = setup();
    for (let i = 0; i <= 100; i++) {
      clock.now = i * 120;
      output.onEvent(progress(i * 10));
    }
    const lines = written.stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe("train: 0 %, 0/1,000 samples, 100 samples/s, ETA 10.0 s, loss 0.4521");
    expect(lines[3]).toBe("train: 100 %, 1,000/1,000 samples, 100 samples/s, loss 0.4521");
    expect(written.stderr).not.toContain(ESCAPE);
  });

  it("does not spend lines on many short tasks", () => {
    const { output, written, clock } = setup();
    for (let i = 0; i < 50; i++) {
      clock.now = i * 20;
      output.onEvent(progress(1000, { task: i % 2 === 0 ? "train" : "evaluate" }));
    }
    expect(written.stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});

describe("--json and --quiet", () => {
  it("puts JSON lines alone on stdout and human text on stderr", () => {
    const { output, written, clock } = setup({ json: true });
    output.onEvent(progress(1));
    clock.now = 500;
    output.onEvent(progress(2));
    output.onEvent({ event: "span", span: "hot", start: 0, end: 1 });
    clock.now = 1500;
    output.onEvent(progress(3));
    output.result("a table");
    output.json({ event: "done", auc: 0.77 });
    const events = written.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; done?: number });
    expect(events.map(({ event, done }) => done ?? event)).toEqual([1, "span", 3, "done"]);
    expect(written.stderr).toContain("a table\n");
  });

  it("quiet leaves results, warnings and errors", () => {
    const { output, written } = setup({ quiet: true }, { columns: 100 });
    output.onEvent(progress(1));
    output.info("reading");
    output.onEvent({ event: "notice", level: "info", code: "I", message: "types inferred" });
    expect(written.stderr).toBe("");
    output.onEvent({ event: "notice", level: "warning", code: "W", message: "careful" });
    output.result("0.77");
    expect(written.stderr).toContain("careful");
    expect(written.stdout).toBe("0.77\n");
  });

  it("without --json writes no JSON", () => {
    const { output, written } = setup();
    output.json({ event: "done" });
    expect(written.stdout).toBe("");
  });
});

describe("errors", () => {
  it("state what, where and the fix, and end as a JSON line with --json", () => {
    const { output, written } = setup({ json: true });
    output.error(failure);
    expect(written.stderr).toBe(
      "error FILE_MISSING: no such file, got clicks.csv\n  where  clicks.csv\n  fix    Check the path.\n",
    );
    expect(JSON.parse(written.stdout)).toEqual({ event: "error", ...failure.toJSON() });
    expect(exitStatus(failure)).toBe(2);
  });

  it("tell a defect apart, with its stack", () => {
    const { output, written } = setup();
    const defect = new TypeError("x is undefined");
    output.error(defect);
    expect(written.stderr).toContain("error INTERNAL: x is undefined");
    expect(written.stderr).toContain("output.test.ts");
    expect(exitStatus(defect)).toBe(1);
  });
});

describe("formatTable", () => {
  it("aligns columns by what is seen", () => {
    const text = formatTable(
      ["", "baseline", "fae"],
      [
        ["AUC", "0.7668", "0.7671"],
        ["ρ hot inputs", "–", "56.5 %"],
      ],
    );
    expect(text).toBe(
      [
        "              baseline     fae",
        "────────────  ────────  ──────",
        "AUC             0.7668  0.7671",
        "ρ hot inputs         –  56.5 %",
      ].join("\n"),
    );
    expect(formatTable(["a", "b"], [["x", "long"]], ["right", "left"])).toBe("a  b\n─  ────\nx  long");
  });
});

describe("names and values from outside", () => {
  const hostile = `a${ESCAPE}[2J\u009b31m\u007f\u202eb\nc\td\uD800`;
  const shown = "a\\u001b[2J\\u009b31m\\u007f\\u202eb\\nc\\td\\ud800";

  it("cannot steer a terminal, wherever they are written", () => {
    const { output, written, clock } = setup({ env: { NO_COLOR: "1" } }, { columns: 400 });
    output.onEvent(progress(500, { task: hostile, unit: hostile, values: { [hostile]: hostile } }));
    clock.now += 1000;
    output.onEvent({ event: "notice", level: "warning", code: "X", message: hostile });
    output.onEvent({ event: "notice", level: "info", code: "X", message: hostile });
    output.error(new ParetoError({ code: "X", where: hostile, message: hostile, fix: hostile }));
    output.info(formatTable([hostile], [[hostile]]));
    const text = written.stderr.replaceAll(`\r${ESCAPE}[2K`, "");
    expect(text).not.toMatch(/[^\P{Cc}\n]|[\p{Surrogate}\p{Bidi_Control}]/u);
    // Four times in the live line, then in two notices, three parts of an error and a table.
    expect(text.split(shown).length).toBeGreaterThan(4 + 2 + 3 + 2);
    output.result(hostile);
    expect(written.stdout).toBe(`${shown.replace("\\n", "\n").replace("\\t", "\t")}\n`);
  });

  it("keep their values in JSON lines, where they are escapes", () => {
    const { output, written } = setup({ json: true });
    const message = hostile.replace("\uD800", "");
    output.onEvent({ event: "notice", level: "info", code: "X", message });
    expect(written.stdout).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
    expect(JSON.parse(written.stdout)).toMatchObject({ message });
  });

  it("that steer nothing are as they were", () => {
    const { output, written } = setup();
    output.result("Grüße, 東京, שלום, 👩‍🔬 a\tb\n\\u001b");
    expect(written.stdout).toBe("Grüße, 東京, שלום, 👩‍🔬 a\tb\n\\u001b\n");
  });
});
