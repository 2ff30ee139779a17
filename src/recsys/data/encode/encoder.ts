/**
 * @file What turns rows into a CTR model's inputs: the schema, the vocabularies and the statistics of the training part.
 *
 * Lives in a folder (`encoder.json` and a Parquet file for each vocabulary), so that a trained model can read new sources.
 */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { makeFolder } from "../../../base/makeFolder.ts";
import { ParetoError } from "../../../base/errors.ts";
import { readJson, writeJson, type JsonFormat } from "../../../base/jsonFile.ts";
import type { ClickSchema } from "../batches/clickBatch.ts";
import { categoricalColumn, elementType } from "../schema/columnTypes.ts";
import type { NumberForm } from "../schema/numberForm.ts";
import { checkNumeric, nonFiniteNotice, nonFiniteNotices } from "../schema/numericColumns.ts";
import { checkVector, findNumberColumn, vectorLengths } from "../schema/vectors.ts";
import { findSalt, type Salt } from "./categoryKeys.ts";
import { categoryNotice } from "./categoryMatch.ts";
import { encodeRows } from "./encode.ts";
import type { EncodeInput, Progress } from "./encode.ts";
import type { CategoricalInput } from "./encodeQueries.ts";
import type { EncodedDataset } from "./encodedDataset.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { checkLabel, findLabel, labelSql } from "../schema/label.ts";
import { suggestRename } from "../schema/suggestColumn.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { quoteText } from "../source/sqlText.ts";
import { fieldValues, type EncodedField } from "./vocabulary.ts";

/** `encoder.json`. */
interface EncoderFile {
  version: 2;
  label: string;
  dense: ClickSchema["dense"];
  categorical: EncodedField[];
  /** How the numbers of text columns were written in training, by column, where not as programs write them. */
  numberForms: Record<string, NumberForm>;
  /** Columns of the source that it was made from. */
  sourceColumns: number;
}

const encoderFormat: JsonFormat<EncoderFile> = {
  noun: "encoder",
  schema: z
    .object({
      version: z.literal(2),
      label: z.string(),
      dense: z.array(
        z.object({
          name: z.string(),
          transform: z.enum(["log1p", "standard"]),
          mean: z.number(),
          deviation: z.number(),
        }),
      ),
      categorical: z.array(
        z.object({
          name: z.string(),
          encoding: z.enum(["vocabulary", "hash"]),
          cardinality: z.int().min(0),
          multiHot: z.boolean(),
          kind: z.enum(["integer", "real", "boolean", "text", "time"]),
          valueType: z.enum(["BIGINT", "VARCHAR"]),
        }),
      ),
      numberForms: z.record(
        z.string(),
        z.object({
          decimal: z.enum([".", ","]),
          group: z.enum(["", ",", ".", " ", "'"]),
          currency: z.string(),
          percent: z.boolean(),
        }),
      ),
      sourceColumns: z.int().min(1),
    })
    .refine(({ dense, categorical }) => dense.length + categorical.length > 0, "it has a column at least"),
  newest: { version: 2 },
  codes: { damaged: "DATA_ENCODER_DAMAGED", version: "DATA_ENCODER_DAMAGED" },
  fix: "Restore the run's folder, or train again.",
};

/** The name of field i's vocabulary file. */
export function vocabularyFile(directory: string, field: number): string {
  return join(directory, `vocabulary${field}.parquet`);
}

/** Turns rows of a source into encoded inputs. */
export class Encoder {
  readonly #directory: string;
  readonly #fields: readonly EncodedField[];
  /** Hand them to `openSource`: a column of numbers is then read as in training where all of its values allow it. */
  readonly numberForms: Readonly<Record<string, NumberForm>>;
  /** Columns of the source that it was made from: where they have no names, another source must have as many. */
  readonly sourceColumns: number;
  /** The columns, in the order that batches follow. */
  readonly schema: ClickSchema;

  private constructor(directory: string, file: EncoderFile) {
    this.#directory = directory;
    this.#fields = file.categorical;
    this.numberForms = file.numberForms;
    this.sourceColumns = file.sourceColumns;
    this.schema = {
      label: file.label,
      dense: file.dense,
      categorical: file.categorical.map(({ name, encoding, cardinality, multiHot }) => ({
        name,
        encoding,
        cardinality,
        multiHot,
      })),
    };
  }

  /** Completes an encoder in a folder that already holds its vocabularies. */
  static async create(
    directory: string,
    label: string,
    dense: ClickSchema["dense"],
    categorical: EncodedField[],
    { numberForms, sourceColumns }: Pick<Encoder, "numberForms" | "sourceColumns">,
  ): Promise<Encoder> {
    const file: EncoderFile = { version: 2, label, dense, categorical, numberForms, sourceColumns };
    await writeJson(join(directory, "encoder.json"), file);
    return new Encoder(directory, file);
  }

  /** Loads an encoder. @throws ParetoError FILE_MISSING, DATA_ENCODER_DAMAGED */
  static async load(directory: string): Promise<Encoder> {
    return new Encoder(directory, await readJson(encoderFormat, join(directory, "encoder.json")));
  }

  /** Columns that text files must keep as text: hand them to `openSource` as `textColumns`. */
  get textColumns(): string[] {
    return this.#fields.filter(({ kind }) => kind === "text").map(({ name }) => name);
  }

  /** Copies the encoder into another folder, e.g. that of a run. @throws ParetoError FILE_REFUSED, FILE_DISK_FULL */
  async save(directory: string): Promise<Encoder> {
    try {
      await makeFolder(directory);
      for (const [i, field] of this.#fields.entries()) {
        if (field.encoding === "vocabulary") {
          await copyFile(vocabularyFile(this.#directory, i), vocabularyFile(directory, i));
        }
      }
    } catch (error) {
      throw fileError(error, directory);
    }
    return Encoder.create(directory, this.schema.label, this.schema.dense, [...this.#fields], this);
  }

  /**
   * The inputs of this encoder in a source.
   * @throws ParetoError DATA_COLUMN_UNKNOWN (a column the model needs is absent), DATA_COLUMN_TYPE
   */
  inputs(source: Source): Pick<EncodeInput, "dense" | "categorical"> {
    const find = (name: string, column = source.column(name)): SourceColumn => {
      if (column !== null) return column;
      throw new ParetoError({
        code: "DATA_COLUMN_UNKNOWN",
        where: source.name,
        message: `the source lacks a column that the model was trained on, got no "${name}"`,
        fix: suggestRename(name, source),
      });
    };
    return {
      dense: this.schema.dense.map((field) => ({
        column: find(field.name, findNumberColumn(source, field.name)),
        field,
      })),
      categorical: this.#fields.map((field, i) => {
        const found = find(field.name);
        const column = field.kind === "text" ? categoricalColumn(found) : found;
        if ((elementType(column.type) !== null) !== field.multiHot) {
          throw new ParetoError({
            code: "DATA_COLUMN_TYPE",
            where: `${source.name}, column "${field.name}"`,
            message: `the model was trained on ${field.multiHot ? "lists" : "single values"} here, got a column of ${column.type}`,
            fix: "Convert it with a query.",
          });
        }
        return { column, field, path: vocabularyFile(this.#directory, i) };
      }),
    };
  }

  /**
   * Encodes a new source, all of it, in its order.
   * @param directory a folder for the data set, replaced if one lies there
   * @returns the set, and whether the source has labels; without them the set's labels are 0
   * @throws ParetoError DATA_COLUMN_UNKNOWN, DATA_COLUMN_TYPE, DATA_NOT_NUMERIC, DATA_LABEL_VALUE, DATA_LABEL_ABSENT, DATA_LABEL_ONE_CLASS,
   *   FILE_DISK_FULL
   */
  async encode(
    source: Source,
    directory: string,
    options: {
      labels?: "required" | "ignored";
      onProgress?: Progress;
      /** Called with each thing the user should know about the values, a sentence. */
      onNotice?: (message: string) => void;
    } = {},
  ): Promise<EncodedDataset> {
    let label = "0::FLOAT";
    const labels: SourceColumn[] = [];
    if (options.labels === "required") {
      const column = findLabel(source, this.schema.label);
      await checkLabel(source, column);
      label = labelSql(column);
      labels.push(column);
    }
    const inputs = this.inputs(source);
    await this.#check(source, inputs, options.onNotice);
    await makeFolder(dirname(directory));
    const tempDirectory = await mkdtemp(`${directory}-temp-`);
    const release = holdTemporary(tempDirectory);
    try {
      const [set] = await encodeRows(
        {
          source,
          from: (columns) => source.from([...columns, ...labels]),
          partSql: "0::UTINYINT",
          labelSql: label,
          ...inputs,
          salts: await this.#salts(source, inputs.categorical),
          tempDirectory,
          ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
        },
        [directory],
      );
      return set!;
    } finally {
      await rm(tempDirectory, { recursive: true, force: true });
      release();
    }
  }

  /** What tells the values of each field apart in this source and in its vocabulary. */
  #salts(source: Source, inputs: readonly CategoricalInput[]): Promise<Salt[]> {
    return source.database.ofAll(inputs, async ({ column, field, path }, connection) => {
      if (field.encoding === "hash") return "";
      const found = fieldValues(column, field, source.from([column]));
      const all = `(SELECT DISTINCT value FROM (SELECT value FROM read_parquet(${quoteText(path)}) UNION ALL ${found}))`;
      const { salt } = await findSalt(source.database, all, field.valueType, source.name, connection);
      return salt;
    });
  }

  /** Refuses values that training would have refused, and says what is missing or unknown beyond what is to be expected. */
  async #check(
    source: Source,
    { dense, categorical }: Pick<EncodeInput, "dense" | "categorical">,
    onNotice: (message: string) => void = () => {},
  ): Promise<void> {
    const numbers = dense.map(({ column }) => column);
    const vectors = vectorLengths(
      source,
      numbers.map(({ name }) => name),
    );
    for (const [vector, length] of vectors) {
      const { nonFinite } = await checkVector(source, vector, length);
      if (nonFinite > 0) onNotice(nonFiniteNotice(vector.name, nonFinite));
    }
    await checkNumeric(source, numbers);
    const scalars = numbers.filter(({ name }) => source.column(name) !== null);
    for (const message of await nonFiniteNotices(source, scalars)) onNotice(message);
    for (const { column, field, path } of categorical) {
      const message = await categoryNotice(source, column, field, path);
      if (message !== null) onNotice(message);
    }
  }
}
