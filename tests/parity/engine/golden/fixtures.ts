/** @file Reads the fixtures that golden/ops/make.py wrote. */
import { readFileSync } from "node:fs";
import type { DType } from "../../../../src/base/dtype.ts";
import type { HostTensor } from "../../../support/engine/hostTensor.ts";

interface JsonTensor {
  readonly shape: readonly number[];
  readonly dtype: "float" | "int32";
  readonly data: readonly number[];
}

type JsonTensors = Readonly<Record<string, JsonTensor>>;

/** A case as written: gradients are those of Σ output · seed by each floating-point input. */
export interface GoldenCase {
  readonly name: string;
  readonly options: Readonly<Record<string, number | boolean | readonly number[]>>;
  readonly inputs: JsonTensors;
  readonly outputs: JsonTensors;
  readonly seeds: JsonTensors;
  readonly gradients: JsonTensors;
}

/** The cases of a topic. */
export function goldenCases(topic: string): readonly GoldenCase[] {
  const url = new URL(`../../../../golden/ops/${topic}.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, "utf8")) as { cases: GoldenCase[] }).cases;
}

/** Tensors of a case with `float` as the floating-point type. */
export function hostTensors(tensors: JsonTensors, float: "float32" | "float64"): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, dtype, data }]) => {
      const type: DType = dtype === "float" ? float : dtype;
      const array = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array }[
        type
      ];
      return [name, { shape, dtype: type, data: array.from(data) }];
    }),
  );
}
