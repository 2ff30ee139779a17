/** @file Where a model's weights come from: named tensors, read one by one so that only one is in memory. */
import type { DType, TypedArray } from "../../base/dtype.ts";
import type { NoticeEvent } from "../../run/events.ts";
import type { GenerationDefaults } from "./generationConfig.ts";
import type { DecoderConfig } from "../models/decoder.ts";

/** An opened model. */
export interface ModelFiles {
  /** What it is called, e.g. the name of its folder. */
  readonly name: string;
  readonly config: DecoderConfig;
  /** How its texts are generated where the user does not say; null where its files do not say either. */
  readonly generation: GenerationDefaults | null;
  /** What its files hold that is not used, or not used as it is written: for the user to know. */
  readonly notices: readonly NoticeEvent[];
  /** The elements of one of the tensors that the model's family names. */
  read(name: string): Promise<Float32Array>;
  /** The same as they are stored; 16-bit floats are bit patterns. */
  readStored(name: string): Promise<{ dtype: DType; elements: TypedArray }>;
  close(): Promise<void>;
}
