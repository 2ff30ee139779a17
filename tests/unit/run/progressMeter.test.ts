import { expect, test } from "vitest";
import { ProgressMeter } from "../../../src/run/progressMeter.ts";

const count = (done: number) => ({ task: "train", done, total: 100, unit: "steps" });

test("progress comes at most ten times a second, with the pace of the last five seconds", () => {
  const meter = new ProgressMeter();
  expect(meter.observe(count(1), 0)).toEqual({ event: "progress", ...count(1), rate: null });
  expect(meter.observe(count(2), 99)).toBeNull();
  expect(meter.observe(count(3), 100)).toMatchObject({ done: 3, rate: 20 });
  for (let at = 200; at <= 10_000; at += 100) meter.observe(count(3), at);
  // Nothing has moved for longer than the window.
  expect(meter.observe(count(3), 10_100)).toMatchObject({ rate: 0 });
  expect(meter.observe(count(13), 10_200)!.rate).toBeCloseTo(10 / 5, 0);
});
