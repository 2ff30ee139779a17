import { expect, test } from "vitest";
import { alibiSlopes } from "../../../../src/llm/load/configs/mpt.ts";

test.each([
  [8, 8, [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]],
  [6, 8, [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]],
  [4, 16, [0.0625, 0.00390625, 0.000244140625, 1.52587890625e-5]],
])("%d heads with a largest bias of %d have MPT's slopes", (heads, most, slopes) => {
  expect(alibiSlopes(heads, most)).toEqual(slopes);
});
