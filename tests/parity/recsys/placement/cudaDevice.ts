/** @file The GPU of tests of row placements, and what moves between it and the host in them. */
import { DeviceTensor } from "../../../../src/engine/program.ts";
import type { CudaDevice } from "../../../../src/engine/targets/cuda/index.ts";
import { sizeOf } from "../../../../src/base/shape.ts";
import type { EmbeddingStore, StagedTensor } from "../../../../src/recsys/embedding/embeddingStore.ts";
import { tryOpenDevice } from "../../../support/engine/devices.ts";

/** Why tests are skipped here, or null. */
export async function cudaMissing(): Promise<string | null> {
  const probe = await tryOpenDevice("cuda");
  if ("missing" in probe) return probe.missing;
  await probe.dispose();
  return null;
}

/** Opens the GPU. */
export async function openCuda(): Promise<CudaDevice> {
  return (await tryOpenDevice("cuda")) as CudaDevice;
}

/** The floats of a buffer's rows or gradients, wherever they are. */
export async function floatsOf(device: CudaDevice, tensor: StagedTensor): Promise<Float32Array> {
  if (!(tensor instanceof DeviceTensor)) return tensor.slice();
  const values = new Float32Array(sizeOf(tensor.shape));
  await device.inOrder(() => {
    device.stream.copyToHost(values, tensor.pointer, values.byteLength);
    return device.finished();
  });
  return values;
}

/** Writes the gradients of a part of a buffer. */
export async function giveGradients(
  device: CudaDevice,
  store: EmbeddingStore,
  buffer: number,
  values: Float32Array,
  part = 0,
): Promise<void> {
  const gradients = store.gradients(buffer, part);
  if (!(gradients instanceof DeviceTensor)) {
    gradients.set(values.subarray(0, gradients.length));
    return;
  }
  await writeTensor(device, gradients, values);
}

/** Writes the first elements of a tensor. */
export async function writeTensor(
  device: CudaDevice,
  tensor: DeviceTensor,
  values: Float32Array,
): Promise<void> {
  await device.inOrder(() => {
    device.stream.copyToDevice(tensor.pointer, values, values.byteLength);
    return device.finished();
  });
}
