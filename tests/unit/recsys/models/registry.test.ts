/** @file CTR models by name: their options, and what embedding stores do not give. */
import { describe, expect, test } from "vitest";
import type { ClickSchema } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { rowFloats } from "../../../../src/recsys/models/features.ts";
import {
  CTR_MODELS,
  createModel,
  fullModelText,
  prepareModel,
} from "../../../../src/recsys/models/registry.ts";

const schema: ClickSchema = {
  label: "label",
  dense: [{ name: "price", transform: "standard", mean: 0, deviation: 1 }],
  categorical: ["shop", "item"].map((name) => ({
    name,
    encoding: "hash",
    cardinality: 9,
    multiHot: false,
  })),
};

const failure = (work: () => unknown): { code: string; message: string; fix: string; where: string } => {
  try {
    work();
  } catch (error) {
    return error as ReturnType<typeof failure>;
  }
  throw new Error("nothing was thrown");
};

describe("the registry of CTR models", () => {
  test("makes a model for the columns of a schema", () => {
    const model = createModel("dlrm:dim=4,bottom=8,top=(8,4)", schema);
    expect(model).toMatchObject({ name: "dlrm", inputs: { dense: 1, fields: [{ dim: 4 }, { dim: 4 }] } });
    expect(rowFloats(model.inputs)).toBe(4);
  });

  test("writes texts that mean the same as one", () => {
    const full = "dlrm:dim=16,bottom=(512,256,64),top=(512,256)";
    expect(fullModelText("dlrm")).toBe(full);
    expect(fullModelText("dlrm:top=(512, 256),dim=1_6")).toBe(full);
    expect(fullModelText(full)).toBe(full);
  });

  test("names the nearest model and option, and the value that is wrong", () => {
    expect(failure(() => fullModelText("dlmr"))).toMatchObject({
      code: "MODEL_UNKNOWN",
      where: "--model",
      fix: "Did you mean dlrm? Use one of dlrm.",
    });
    expect(failure(() => fullModelText("dlrm:dims=4"))).toMatchObject({
      code: "MODEL_OPTION",
      fix: "Did you mean dim? Its options are dim, bottom, top.",
    });
    expect(failure(() => fullModelText("dlrm:dim=0"))).toMatchObject({
      code: "MODEL_OPTION",
      where: "--model dlrm:dim",
      message: expect.stringMatching(/got "0"$/) as string,
      fix: "dim takes integer; 16 by default.",
    });
  });

  test("prepares nothing for a model that needs nothing", async () => {
    const train = { schema, rows: 0, labelCounts: [0, 0] as const, batches: () => [] as never };
    expect(await prepareModel("dlrm", train)).toBeNull();
  });

  test("says of each model what it is and where it is published", () => {
    for (const { kind, name, summary, source } of CTR_MODELS) {
      expect(kind).toBe("recsys.model");
      expect(name).toMatch(/^[a-z][a-z0-9-]*$/);
      expect(summary).toMatch(/^[A-Z].*\.$/);
      expect(source).not.toBe("");
    }
  });
});
