/**
 * @file A trained protein model as one `.onnx` file that answers with probabilities.
 *
 * Inputs: `ids` int32 `[batch, L]`, residues by the alphabet's numbers (1 to 20 for `ACDEFGHIKLMNPQRSTVWY`, 21 for any
 * other letter, 0 behind the end), and `lengths` int32 `[batch]`, residues before the padding, 1 to L. Outputs:
 * `probabilities` float32 `[batch, families]`, and of a network with attention `attention` `[batch, steps]`. Families,
 * alphabet and threshold lie in the model's metadata as JSON under `pareto.protein`.
 */
import { exportOnnx, type ExportedModel, type StateValues } from "../engine/onnx/exportModel.ts";
import { Parameters } from "../nn/parameters.ts";
import { proteinModel } from "./models/models.ts";
import { readProteinWeights, type ProteinModelFolder } from "./savedModel.ts";
import { tracePrediction } from "./network/traceProtein.ts";

/**
 * Exports a saved model.
 * @param file path of the `.onnx` file; one that exists is replaced
 * @throws ParetoError PROTEIN_MODEL_DAMAGED, FILE_DISK_FULL, FILE_REFUSED
 */
export async function exportProteinModel(folder: ProteinModelFolder, file: string): Promise<ExportedModel> {
  const { network, families, length, threshold, name, pareto } = folder.config;
  const weights = await readProteinWeights(folder);
  const model = proteinModel(network, families.length);
  const parameters = new Parameters(0);
  const values = new Map<string, StateValues>(
    [...weights].map(([parameter, elements]) => [parameter, () => [elements]]),
  );
  return exportOnnx(
    (batchSize) => tracePrediction(model, { batchSize, length }, parameters, true),
    values,
    file,
    {
      freeAxis: "batch",
      metadata: {
        "pareto.version": pareto,
        "pareto.model": name,
        "pareto.protein": JSON.stringify({
          families,
          length,
          threshold,
          residuesPerStep: model.residuesPerStep,
          alphabet: { padding: 0, residues: "ACDEFGHIKLMNPQRSTVWY", first: 1, other: 21 },
        }),
      },
    },
  );
}
