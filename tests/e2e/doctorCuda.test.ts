/** @file The doctor where no GPU can be seen: it says what is missing and what to do, and does not crash. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

interface Finding {
  name: string;
  ok: boolean;
  value: unknown;
  detail: string;
}

test("a hidden GPU is a failing check with its fix, and nothing that needs one is tried", async () => {
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: "" };
  const { code, stdout } = await new Promise<{ code: number | null; stdout: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, "doctor", "--device", "cuda", "--json"],
      { env },
      (_, stdout) => resolve({ code: child.exitCode, stdout }),
    );
  });
  expect(code).toBe(1);
  const { ok, targets } = JSON.parse(stdout.trim().split("\n").at(-1)!) as {
    ok: boolean;
    targets: { target: string; checks: Finding[] }[];
  };
  expect({ ok, target: targets[0]!.target }).toEqual({ ok: false, target: "cuda" });
  const named = new Map(targets[0]!.checks.map((found) => [found.name, found]));
  expect(named.get("gpu")).toMatchObject({
    ok: false,
    value: null,
    detail: expect.stringMatching(/Install the NVIDIA driver|CUDA_VISIBLE_DEVICES/),
  });
  expect(named.get("node")).toMatchObject({ ok: true });
  expect(named.has("nvrtc")).toBe(true);
  expect(named.has("matrix product f32")).toBe(false);
});
