/**
 * @file From a source to encoded training, validation and test parts, in a folder that is reused while it matches.
 *
 * The folder holds `encoder/`, `train/`, `validation/`, `test/` and, written last, `prepared.json` with the fingerprint of
 * source and options. It is built beside its place and put there by a rename; one with another fingerprint is replaced.
 */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { makeFolder } from "../../../base/makeFolder.ts";
import { ParetoError } from "../../../base/errors.ts";
import { readJson, unusableJson, type JsonFormat } from "../../../base/jsonFile.ts";
import type { ClickSchema } from "../batches/clickBatch.ts";
import { measureDense } from "./denseStatistics.ts";
import { encodeRows } from "./encode.ts";
import type { Progress } from "./encode.ts";
import { EncodedDataset } from "./encodedDataset.ts";
import { Encoder, vocabularyFile } from "./encoder.ts";
import { categoricalColumn, categoryKind, elementType, valueTypeOf } from "../schema/columnTypes.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { fingerprint } from "../source/fingerprint.ts";
import { inferSchema } from "../schema/inferSchema.ts";
import type { ColumnDescription, RoleOptions } from "../schema/inferSchema.ts";
import { checkLabel, findLabel, labelSql } from "../schema/label.ts";
import { makePartialFolder } from "./partialFolder.ts";
import { vectorElements } from "../schema/vectors.ts";
import { isPlain, type NumberForm } from "../schema/numberForm.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { splitRows } from "./split.ts";
import type { SplitOptions } from "./split.ts";
import { requireBothLabels } from "./stratifiedSplit.ts";
import { buildVocabulary } from "./vocabulary.ts";
import type { EncodedField } from "./vocabulary.ts";

/** How a source becomes a data set. */
export interface PrepareOptions extends RoleOptions {
  /** Default temporal, 70 : 10 : 20, seed 0. */
  split?: Partial<SplitOptions>;
  /** Values seen fewer times in the training part are unknown (default 1). */
  minCount?: number;
  /** Hash into this many rows of a table instead of keeping a vocabulary: for all fields, or by name. */
  hashBuckets?: number | Readonly<Record<string, number>>;
  /** Transforms of dense columns by name, over the rule of {@link measureDense}. */
  transforms?: Readonly<Record<string, "log1p" | "standard">>;
}

/** A source, prepared. */
export interface PreparedDataset {
  schema: ClickSchema;
  encoder: Encoder;
  train: EncodedDataset;
  validation: EncodedDataset;
  test: EncodedDataset;
  columns: ColumnDescription[];
  notices: string[];
  /** Of the source and the options. */
  fingerprint: string;
  /** Whether it was found ready. */
  reused: boolean;
}

const MARKER = "prepared.json";

/** `prepared.json`. */
interface Marker {
  version: 2;
  fingerprint: string;
  columns: ColumnDescription[];
  notices: string[];
}

const count = z.int().min(0);

const markerFormat: JsonFormat<Marker> = {
  noun: "prepared data set",
  schema: z.object({
    version: z.literal(2),
    fingerprint: z.string(),
    columns: z.array(
      z.object({
        name: z.string(),
        type: z.string(),
        role: z.enum(["label", "time", "dense", "categorical", "ignored"]),
        multiHot: z.boolean(),
        elements: count,
        distinct: count,
        missing: count,
        nonFinite: count,
        reason: z.string(),
      }),
    ),
    notices: z.array(z.string()),
  }),
  newest: { version: 2 },
  codes: { damaged: "DATA_ENCODED_DAMAGED", version: "DATA_ENCODED_VERSION" },
  fix: "Delete the folder and prepare the data again.",
};

const PARTS = ["train", "validation", "test"] as const;

/**
 * Prepares a source in `directory`, or opens what lies there when it was made from the same source and options.
 * @throws ParetoError everything that {@link inferSchema}, `checkLabel`, `splitRows` and encoding throw
 */
export async function prepareDataset(
  source: Source,
  options: PrepareOptions,
  directory: string,
  onProgress?: Progress,
): Promise<PreparedDataset> {
  const key = await fingerprint(source.files, [
    2,
    source.name,
    source.query,
    source.format,
    source.rows,
    source.columns.map(({ name, type, form }) => [name, type, form]),
    normalise(options),
  ]);
  const ready = await reopen(directory, key);
  if (ready) return ready;
  const partial = await makePartialFolder(directory).catch((error: unknown) => {
    throw fileError(error, directory, "Choose another folder with --cache.");
  });
  const release = holdTemporary(partial);
  try {
    await build(source, options, partial, key, onProgress);
    await rm(directory, { recursive: true, force: true });
    await rename(partial, directory);
  } catch (error) {
    source.database.signal?.throwIfAborted();
    const other = await reopen(directory, key);
    if (other) return other;
    throw error instanceof ParetoError ? error : fileError(error, directory);
  } finally {
    await rm(partial, { recursive: true, force: true });
    release();
  }
  return finish(directory, await readJson(markerFormat, join(directory, MARKER)), false);
}

function normalise(options: PrepareOptions): unknown {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Opens a complete preparation with this fingerprint, else null. */
async function reopen(directory: string, key: string): Promise<PreparedDataset | null> {
  try {
    const marker = await readJson(markerFormat, join(directory, MARKER));
    if (marker.fingerprint !== key) return null;
    return await finish(directory, marker, true);
  } catch {
    return null;
  }
}

async function finish(directory: string, marker: Marker, reused: boolean): Promise<PreparedDataset> {
  const encoder = await Encoder.load(join(directory, "encoder"));
  const [train, validation, test] = await Promise.all(
    PARTS.map((part) => EncodedDataset.open(join(directory, part))),
  );
  for (const part of [train!, validation!, test!]) requireSameTables(part, encoder.schema);
  return {
    schema: encoder.schema,
    encoder,
    train: train!,
    validation: validation!,
    test: test!,
    columns: marker.columns,
    notices: marker.notices,
    fingerprint: marker.fingerprint,
    reused,
  };
}

/** @throws ParetoError DATA_ENCODED_DAMAGED for a part that was not encoded by this encoder */
function requireSameTables({ directory, layout }: EncodedDataset, { dense, categorical }: ClickSchema): void {
  const cardinalities = categorical.map(({ cardinality }) => cardinality);
  if (layout.dense === dense.length && isDeepStrictEqual(layout.cardinalities, cardinalities)) return;
  const problem = `the encoder has ${dense.length} dense columns and tables of ${cardinalities.join(", ")} rows`;
  const received = `${layout.dense} and ${layout.cardinalities.join(", ")}`;
  throw unusableJson(markerFormat, directory, problem, received);
}

async function build(
  source: Source,
  options: PrepareOptions,
  directory: string,
  key: string,
  onProgress: Progress | undefined,
): Promise<void> {
  const roles = await inferSchema(source, options);
  const labelColumn = findLabel(source, roles.label);
  const { notice, counts } = await checkLabel(source, labelColumn);
  const time = roles.time === null ? null : source.column(roles.time);
  const splitOptions: SplitOptions = {
    kind: options.split?.kind ?? "temporal",
    fractions: options.split?.fractions ?? [70, 10, 20],
    seed: options.split?.seed ?? 0,
  };
  const divided = await splitRows(source, splitOptions, time);
  const split = await requireBothLabels(source, divided, splitOptions, { label: labelColumn, counts });
  const label = labelSql(labelColumn);
  const notices = [
    ...source.notices,
    ...roles.notices,
    ...(notice === null ? [] : [notice]),
    ...split.notices,
  ];
  const encoderDirectory = join(directory, "encoder");
  const tempDirectory = join(directory, "temp");
  try {
    await makeFolder(encoderDirectory);
    await mkdir(tempDirectory);
  } catch (error) {
    throw fileError(error, directory);
  }
  try {
    const named = (role: "dense" | "categorical") =>
      roles.columns.filter((column) => column.role === role).map((column) => source.column(column.name)!);
    const numbers = named("dense").flatMap((column) => {
      const { elements } = roles.columns.find(({ name }) => name === column.name)!;
      return elements === 0 ? [column] : vectorElements(column, elements);
    });
    const dense = await measureDense(source, split, numbers, options.transforms ?? {});
    const columns = named("categorical").map(categoricalColumn);
    let built = 0;
    onProgress?.(0, columns.length, "fields", "vocabulary");
    const vocabularies = await source.database.ofAll(columns, async (column, connection, i) => {
      const buckets = bucketsOf(options.hashBuckets, column.name);
      const path = vocabularyFile(encoderDirectory, i);
      const found =
        buckets === null
          ? await buildVocabulary(source, split, column, options.minCount ?? 1, path, connection)
          : { field: hashedField(column, buckets), salt: "" };
      onProgress?.(++built, columns.length, "fields", "vocabulary");
      return found;
    });
    const fields = vocabularies.map(({ field }) => field);
    const encoder = await Encoder.create(encoderDirectory, roles.label, dense, fields, {
      numberForms: numberForms(named("dense")),
      sourceColumns: source.columns.length,
    });
    await encodeRows(
      {
        source,
        from: (read) => split.from([labelColumn, ...read]),
        partSql: split.partSql,
        labelSql: label,
        ...encoder.inputs(source),
        salts: vocabularies.map(({ salt }) => salt),
        tempDirectory,
        ...(onProgress === undefined ? {} : { onProgress }),
      },
      PARTS.map((part) => join(directory, part)),
    );
    const marker: Marker = { version: 2, fingerprint: key, columns: roles.columns, notices };
    const path = join(directory, MARKER);
    await writeFile(path, JSON.stringify(marker, null, 1), { flush: true });
  } catch (error) {
    source.database.signal?.throwIfAborted();
    throw error instanceof ParetoError ? error : fileError(error, directory);
  } finally {
    await rm(tempDirectory, { recursive: true, force: true });
  }
}

/** How numbers are written in those of the columns where it is not as programs write them. */
function numberForms(columns: readonly SourceColumn[]): Record<string, NumberForm> {
  return Object.fromEntries(
    columns.flatMap(({ name, form }) => (form === null || isPlain(form) ? [] : [[name, form]])),
  );
}

/** A field whose values are hashed into buckets. */
function hashedField({ name, type }: SourceColumn, buckets: number): EncodedField {
  return {
    name,
    encoding: "hash",
    cardinality: buckets,
    multiHot: elementType(type) !== null,
    kind: categoryKind(type),
    valueType: valueTypeOf(type),
  };
}

function bucketsOf(buckets: PrepareOptions["hashBuckets"], name: string): number | null {
  const found = typeof buckets === "number" ? buckets : buckets?.[name];
  if (found === undefined) return null;
  if (Number.isInteger(found) && found >= 2 && found <= 2 ** 31 - 1) return found;
  throw new ParetoError({
    code: "DATA_HASH_BUCKETS",
    where: name,
    message: `hashing needs a whole number of buckets, 2 or more, got ${found}`,
    fix: "Say e.g. 1000000.",
  });
}
