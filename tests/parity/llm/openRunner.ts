/** @file The tiny models of `golden/llm` on a runner. */
import { rm } from "node:fs/promises";
import { openModelFolder } from "../../../src/llm/load/modelFolder.ts";
import { openRunner } from "../../../src/llm/runner/openRunner.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { caseFolder } from "./goldenModels.ts";

/** A case's model on the host. Dispose of it when done. */
export async function openCaseRunner(model: string, name: string, seats: number): Promise<LlmRunner> {
  const folder = await caseFolder(model, name);
  const files = await openModelFolder(folder);
  try {
    return await openRunner(files, { device: "cpu", threads: 1, seats });
  } finally {
    await files.close();
    await rm(folder, { recursive: true });
  }
}
