/**
 * @file What kind of processor computes. ONNX Runtime chooses its code by the processor's instructions, so results of
 * the `cpu` target are the same to the bit only on processors of one kind.
 */
import { readFile } from "node:fs/promises";
import { arch, cpus, platform } from "node:os";

/** A kind of processor. */
export interface Processor {
  platform: string;
  arch: string;
  vendor: string;
  /** Those of {@link INSTRUCTIONS} that it has. */
  instructions: string[];
  /** As the system calls it; not part of the kind. */
  model: string;
}

/** Instruction sets that numerical libraries choose their code by. */
const INSTRUCTIONS =
  "sse4_1 avx f16c fma avx2 avx_vnni avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_int8 asimd asimddp sve i8mm bf16".split(
    " ",
  );

/** The processor of this machine; without instructions where the system does not list them. */
export async function processorHere(): Promise<Processor> {
  const text = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const line = (name: RegExp) =>
    text
      .split("\n")
      .find((row) => name.test(row))
      ?.split(":")[1]
      ?.trim() ?? "";
  const flags = new Set(line(/^(flags|Features)\s*:/).split(" "));
  return {
    platform: platform(),
    arch: arch(),
    vendor: line(/^(vendor_id|CPU implementer)\s*:/),
    instructions: INSTRUCTIONS.filter((name) => flags.has(name)),
    model: cpus()[0]?.model ?? "",
  };
}

/** Whether two processors are of one kind. */
export function isSameKind(a: Processor, b: Processor): boolean {
  const kind = ({ platform, arch, vendor, instructions }: Processor) =>
    [platform, arch, vendor, ...instructions].join(" ");
  return kind(a) === kind(b);
}
