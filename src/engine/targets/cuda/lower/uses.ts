/** @file Which nodes of a graph read which tensors. */
import type { AnyNode, Tensor } from "../../../graph/node.ts";

/** The readers of each tensor of some nodes. */
export class Uses {
  readonly #users = new Map<Tensor, AnyNode[]>();
  readonly #kept: ReadonlySet<Tensor>;

  /** @param roots tensors wanted besides */
  constructor(nodes: readonly AnyNode[], roots: readonly Tensor[]) {
    this.#kept = new Set(roots);
    for (const node of nodes) {
      for (const t of node.inputs) {
        const known = this.#users.get(t);
        if (known) known.push(node);
        else this.#users.set(t, [node]);
      }
    }
  }

  /** Its readers; one that reads it twice stands twice. */
  of(t: Tensor): readonly AnyNode[] {
    return this.#users.get(t) ?? [];
  }

  /** Whether it is wanted besides. */
  isKept(t: Tensor): boolean {
    return this.#kept.has(t);
  }

  /** The node that alone reads a tensor, once. */
  onlyUser(t: Tensor): AnyNode | undefined {
    const found = this.of(t);
    return found.length === 1 && !this.#kept.has(t) ? found[0] : undefined;
  }
}
