/**
 * @file How the data of a run is accessed, as its folder keeps it in `access.json`: what the report draws of the data. It
 * is measured on the training part when training has ended.
 */
import { join } from "node:path";
import { z } from "zod";
import { readJsonIfExists, writeJson, type JsonFormat } from "../../base/jsonFile.ts";
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import type { DatasetProfile } from "./profile.ts";

const FILE = "access.json";

const schema = z.object({
  format: z.literal("pareto-access"),
  version: z.literal(1),
  /** Columns of the data. */
  columns: z.object({ dense: z.number(), categorical: z.number() }),
  /** Rising: the share of accesses that the most used share of rows takes. */
  skew: z.array(z.object({ rowShare: z.number(), accessShare: z.number() })),
  /** By rising budget: how many inputs touch hot rows only, and how many accesses go to hot rows. */
  budgets: z.array(z.object({ bytes: z.number(), inputShare: z.number(), accessShare: z.number() })),
  /** The budget that the run had. */
  chosenBudgetBytes: z.number(),
  /** Categorical columns. */
  fields: z.array(
    z.object({
      name: z.string(),
      rows: z.number(),
      missingShare: z.number(),
      /** Share of its accesses that go to its most used 1 % and 10 % of rows. */
      top1Share: z.number(),
      top10Share: z.number(),
    }),
  ),
});

/** How the data of a run is accessed. */
export type AccessProfile = z.infer<typeof schema>;

const format: JsonFormat<AccessProfile> = {
  noun: "access profile",
  schema,
  newest: { version: 1 },
  codes: { damaged: "RUN_INVALID", version: "RUN_VERSION" },
  fix: "Remove the file: the report then leaves out what is accessed.",
};

/** From a profile of prepared data. */
export function accessProfile(
  { skew, inputShare, hot, tables }: DatasetProfile,
  { columns, schema: { dense, categorical }, train, validation, test }: PreparedDataset,
): AccessProfile {
  const rows = train.rows + validation.rows + test.rows;
  const missing = new Map(columns.map((column) => [column.name, column.missing]));
  return {
    format: "pareto-access",
    version: 1,
    columns: { dense: dense.length, categorical: categorical.length },
    skew: skew.curve,
    budgets: inputShare.map(({ budgetBytes: bytes, inputShare, accessShare }) => ({
      bytes,
      inputShare,
      accessShare,
    })),
    chosenBudgetBytes: hot.budgetBytes,
    fields: tables.map(({ name, rows: tableRows, top1, top10 }) => ({
      name,
      rows: tableRows,
      missingShare: (missing.get(name) ?? 0) / Math.max(1, rows),
      top1Share: top1,
      top10Share: top10,
    })),
  };
}

/** Keeps a profile in a run's folder. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
export async function writeAccessProfile(run: string, profile: AccessProfile): Promise<void> {
  await writeJson(join(run, FILE), profile);
}

/** The profile in a run's folder; null where there is none. @throws ParetoError RUN_INVALID, RUN_VERSION, FILE_REFUSED */
export async function readAccessProfile(run: string): Promise<AccessProfile | null> {
  return readJsonIfExists(format, join(run, FILE));
}
