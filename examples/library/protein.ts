/**
 * @file `pareto/protein`: names the families of four sequences with the model that ships with Pareto.
 * Run: `npx node examples/library/protein.ts`.
 */
import { Readable } from "node:stream";
import {
  classifyFasta,
  DEFAULT_MODEL_PATH,
  loadProteinNetwork,
  openProteinModel,
} from "../../src/protein/index.ts";

const fasta = `>HBB_HUMAN hemoglobin subunit beta
MVHLTPEEKSAVTALWGKVNVDEVGGEALGRLLVVYPWTQRFFESFGDLSTPDAVMGNPKVKAHGKKVLG
AFSDGLAHLDNLKGTFATLSELHCDKLHVDPENFRLLGNVLVCVLAHHFGKEFTPPVQAAYQKVVAGVAN
ALAHKYH
>LYSC_CHICK lysozyme C
KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTP
GSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL
>INS_HUMAN insulin
MALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGG
GPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN
>broken
MKV%LA
`;

const { directory, config } = await openProteinModel(DEFAULT_MODEL_PATH);
const network = await loadProteinNetwork({ directory, config }, { device: "cpu", threads: 2, batchSize: 16 });
const { families, length, threshold } = config;
try {
  const groups = classifyFasta(network, Readable.from([fasta]), {
    families,
    length,
    threshold,
    attention: true,
  });
  for await (const group of groups) {
    for (const record of group) {
      if (record.bad) {
        console.log(`${record.id}: ${record.message}`);
        continue;
      }
      const [best] = record.candidates;
      const family = record.isUnknown ? "of no family that the model knows" : best!.family;
      const span = record.attention!.toSorted((a, b) => b.weight - a.weight)[0]!;
      const looked = `looked most at residues ${span.start} to ${span.end}`;
      console.log(`${record.id}: ${family}, probability ${best!.probability.toFixed(2)}, ${looked}`);
    }
  }
} finally {
  await network.dispose();
}
