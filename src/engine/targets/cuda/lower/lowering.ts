/**
 * @file How one op becomes steps. An op that the fusing compiler does not turn into generated code has a rule here;
 * a rule finds its operands materialised and writes all outputs of its node.
 */
import type { Node, Tensor } from "../../../graph/node.ts";
import type { OpName } from "../../../graph/opAttrs.ts";
import type { Precision } from "../../../program.ts";
import type { BufferView, Step } from "../plan.ts";

/** What a rule knows and may do. */
export interface LowerContext {
  /** Multiprocessors, and bytes of shared memory that a block may have. */
  readonly multiprocessors: number;
  readonly maxSharedBytes: number;
  readonly compute: Precision;
  /** What kernels are compiled for, e.g. `sm_90a`, which has products by warpgroups. */
  readonly arch: string;
  /** Where a tensor's elements lie: an operand's, or where an output's are to be written. */
  view(t: Tensor): BufferView;
  /** Memory for this rule's own use, free again after its last step. */
  scratch(bytes: number): BufferView;
  emit(step: Step): void;
  /**
   * The steps of a sub-graph, for the rule to emit as often as it likes; their scratch is free after its last step.
   * @param bound where leaves lie
   * @param targets where each result is to be written; a result may be a leaf, or stand twice
   */
  lowerBody(
    results: readonly Tensor[],
    bound: ReadonlyMap<Tensor, BufferView>,
    targets: readonly BufferView[],
  ): Step[];
}

/** Emits the steps of a node. */
export type LowerRule<K extends OpName> = (node: Node<K>, context: LowerContext) => void;
