/**
 * @file Checkpoints: JSON state and named tensors in a folder, whatever they mean.
 *
 * `checkpoint.json` holds the state, a checksum of each tensor and the name of the safetensors file beside it.
 * A new checkpoint writes its tensors under a name of their own and then replaces `checkpoint.json` by a rename:
 * at every moment the folder holds one whole checkpoint, the old one or the new one. One writer a folder.
 */
import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type DType, type TypedArray, viewBytes } from "../base/dtype.ts";
import { ParetoError } from "../base/errors.ts";
import { paretoVersion } from "../base/environment.ts";
import { fileError } from "../base/fileErrors.ts";
import { writeText } from "../base/files.ts";
import { formatShape, sameShape, sizeOf, type Shape } from "../base/shape.ts";
import { SafetensorsFile } from "../base/safetensors.ts";
import { writeSafetensors, type TensorSource } from "../base/writeSafetensors.ts";
import { damagedCheckpoint, encodeManifest, readManifest, type Manifest } from "./checkpointManifest.ts";
import type { JsonValue } from "../base/jsonFile.ts";

/** The file that makes a folder a checkpoint; it is written last. */
export const CHECKPOINT_FILE = "checkpoint.json";
/** Elements read at a time to check a tensor. */
const CHECK_ELEMENTS = 2 ** 21;

/** What takes the tensors of a checkpoint. */
export interface CheckpointWriter {
  /** Adds a tensor; its elements are asked for later, in the order in which tensors were added. */
  add(tensor: TensorSource): void;
}

/** What gives the tensors of a checkpoint. */
export type CheckpointReader = Pick<Checkpoint, "read" | "requireShape">;

/** Something with tensors that a checkpoint keeps. */
export interface Checkpointed {
  save(writer: CheckpointWriter): void;
  load(reader: CheckpointReader): Promise<void>;
}

/** What is saved. */
export interface CheckpointContent {
  /** What it is a checkpoint of, e.g. `click-model`; reading asks for the same. */
  kind: string;
  state: JsonValue;
  tensors: readonly TensorSource[];
}

/**
 * Saves a checkpoint; one that is there already stays until the new one is whole.
 * @param directory made if absent
 * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED, CHECKPOINT_STATE for a state that JSON cannot hold
 */
export async function writeCheckpoint(directory: string, content: CheckpointContent): Promise<void> {
  const file = `tensors-${randomBytes(4).toString("hex")}.safetensors`;
  const manifest: Omit<Manifest, "crc32"> = {
    format: "pareto-checkpoint",
    version: 1,
    pareto: paretoVersion(),
    kind: content.kind,
    savedAt: new Date().toISOString(),
    file,
    tensors: Object.fromEntries(content.tensors.map(({ name }) => [name, { crc32: 0 }])),
    state: content.state,
  };
  // Before anything is written: a state that JSON cannot hold should not cost gigabytes first.
  encodeManifest(join(directory, CHECKPOINT_FILE), manifest);
  try {
    await writeSafetensors(join(directory, file), content.tensors, { kind: content.kind }, (name, chunk) => {
      const tensor = manifest.tensors[name]!;
      tensor.crc32 = crc32(viewBytes(chunk), tensor.crc32);
    });
    await writeText(
      join(directory, CHECKPOINT_FILE),
      encodeManifest(join(directory, CHECKPOINT_FILE), manifest),
    );
  } catch (error) {
    await rm(join(directory, file), { force: true }).catch(() => undefined);
    throw fileError(error, directory);
  }
  await removeOthers(directory, file);
}

/** Removes tensors of earlier checkpoints and of saves that were killed. */
async function removeOthers(directory: string, kept: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    if (name === kept || !/^tensors-[0-9a-f]{8}\.safetensors(\.partial)?$/.test(name)) continue;
    await rm(join(directory, name), { force: true }).catch(() => undefined);
  }
}

/** An open checkpoint. */
export class Checkpoint {
  readonly directory: string;
  readonly kind: string;
  /** Version of Pareto that wrote it. */
  readonly pareto: string;
  readonly state: JsonValue;
  readonly tensors: ReadonlyMap<string, { readonly dtype: DType; readonly shape: Shape }>;
  readonly #file: SafetensorsFile;
  readonly #manifest: Manifest;

  /** Use {@link openCheckpoint}. */
  constructor(directory: string, manifest: Manifest, file: SafetensorsFile) {
    this.directory = directory;
    this.kind = manifest.kind;
    this.pareto = manifest.pareto;
    this.state = manifest.state;
    this.tensors = file.tensors;
    this.#file = file;
    this.#manifest = manifest;
  }

  /**
   * Elements of a tensor in row-major order: all, or `count` from element `first` on.
   * @throws ParetoError CHECKPOINT_TENSOR for a name that it lacks, SAFETENSORS_RANGE, SAFETENSORS_DAMAGED
   */
  async read(name: string, first = 0, count?: number): Promise<TypedArray> {
    this.#find(name);
    return this.#file.read(name, first, count);
  }

  /**
   * Checks that a tensor is what a model makes of its configuration, before memory is taken for it.
   * @throws ParetoError CHECKPOINT_TENSOR for another shape than float32 of this one, or a name that it lacks
   */
  requireShape(name: string, shape: Shape): void {
    const found = this.#find(name);
    if (found.dtype === "float32" && sameShape(found.shape, shape)) return;
    throw new ParetoError({
      code: "CHECKPOINT_TENSOR",
      where: this.directory,
      message: `the model needs "${name}" as float32 ${formatShape(shape)}, got ${found.dtype} ${formatShape(found.shape)}`,
      fix: `Restore run.json and the encoder that belong to the checkpoint, open it with the Pareto that wrote it (${this.pareto}, if its models have changed since), or train again.`,
    });
  }

  #find(name: string): { readonly dtype: DType; readonly shape: Shape } {
    const found = this.tensors.get(name);
    if (found) return found;
    throw new ParetoError({
      code: "CHECKPOINT_TENSOR",
      where: this.directory,
      message: `the checkpoint has no tensor of this name, got "${name}"`,
      fix: "Open a checkpoint of the same model and optimizer, or start a new run.",
    });
  }

  /** Reads every tensor and checks its checksum. @throws ParetoError CHECKPOINT_DAMAGED */
  async verify(): Promise<void> {
    for (const [name, { shape }] of this.tensors) {
      const size = sizeOf(shape);
      let checksum = 0;
      for (let at = 0; at < size; at += CHECK_ELEMENTS) {
        const piece = await this.#file.read(name, at, Math.min(CHECK_ELEMENTS, size - at));
        checksum = crc32(viewBytes(piece), checksum);
      }
      const expected = this.#manifest.tensors[name]?.crc32;
      if (checksum !== expected) {
        throw damagedCheckpoint(
          this.directory,
          `tensor "${name}" should have checksum ${expected}`,
          checksum,
        );
      }
    }
  }

  /** Closes its file. */
  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function requireManifest(directory: string): Promise<Manifest> {
  const manifest = await readManifest(join(directory, CHECKPOINT_FILE));
  if (manifest) return manifest;
  throw new ParetoError({
    code: "CHECKPOINT_MISSING",
    where: directory,
    message: `there is no checkpoint here (no ${CHECKPOINT_FILE}), got ${directory}`,
    fix: "Give the folder of a run that has saved one.",
  });
}

/**
 * Opens a checkpoint and checks that it is whole; {@link Checkpoint.verify} checks the tensors' bytes too.
 * @param kind the kind that it must have
 * @throws ParetoError CHECKPOINT_MISSING, CHECKPOINT_DAMAGED, CHECKPOINT_VERSION, CHECKPOINT_KIND
 */
export async function openCheckpoint(directory: string, kind: string): Promise<Checkpoint> {
  const manifest = await requireManifest(directory);
  if (manifest.kind !== kind) {
    throw new ParetoError({
      code: "CHECKPOINT_KIND",
      where: directory,
      message: `a checkpoint of kind "${kind}" is needed, got "${manifest.kind}"`,
      fix: "Open it with the command that made it, or give another folder.",
    });
  }
  let file: SafetensorsFile;
  try {
    file = await SafetensorsFile.open(join(directory, manifest.file));
  } catch (error) {
    // A run under way may have replaced the checkpoint in between.
    const now = await requireManifest(directory);
    if (now.file !== manifest.file) return openCheckpoint(directory, kind);
    throw damagedCheckpoint(directory, "its tensors cannot be read", (error as Error).message, error);
  }
  const missing = Object.keys(manifest.tensors).find((name) => !file.tensors.has(name));
  const extra = [...file.tensors.keys()].find((name) => !Object.hasOwn(manifest.tensors, name));
  if (missing !== undefined || extra !== undefined) {
    await file.close();
    throw damagedCheckpoint(
      directory,
      `${CHECKPOINT_FILE} and ${manifest.file} name different tensors`,
      missing ?? extra,
    );
  }
  return new Checkpoint(directory, manifest, file);
}

/**
 * Saves a state and the tensors of some parts, as {@link writeCheckpoint}.
 * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED, CHECKPOINT_STATE
 */
export async function saveCheckpoint(
  directory: string,
  { kind, state, parts }: { kind: string; state: JsonValue; parts: readonly Checkpointed[] },
): Promise<void> {
  const tensors: TensorSource[] = [];
  for (const part of parts) part.save({ add: (tensor) => tensors.push(tensor) });
  await writeCheckpoint(directory, { kind, state, tensors });
}

/**
 * Checks a checkpoint's bytes and loads the tensors of some parts.
 * @returns its state
 * @throws ParetoError as {@link openCheckpoint}, CHECKPOINT_TENSOR
 */
export async function loadCheckpoint(
  directory: string,
  { kind, parts }: { kind: string; parts: readonly Checkpointed[] },
): Promise<JsonValue> {
  const checkpoint = await openCheckpoint(directory, kind);
  try {
    await checkpoint.verify();
    for (const part of parts) await part.load(checkpoint);
    return checkpoint.state;
  } finally {
    await checkpoint.close();
  }
}
