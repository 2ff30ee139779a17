/** @file The distinct rows of a table's lookups, by open addressing in scratch memory. */
import { TableView } from "./tableView";

/** Where in the hash an id lies or belongs. Fibonacci hashing: the top bits of id · 2^32/φ. */
@inline
export function firstProbe(id: u32, mask: u32): u32 {
  return (id * 0x9e3779b1) >>> clz<u32>(mask);
}

/**
 * Numbers a table's distinct rows in order of first appearance, and checks every id and bag.
 * @returns 0; or 1 + the lookup of this table whose id is out of range or belongs to another table; or
 *   0x40000000 + the bag whose end lies before its start
 */
export function findDistinct(view: TableView): i32 {
  view.count = 0;
  const offsets = view.offsets;
  if (offsets != 0) {
    for (let b = 0; b < view.size; b++) {
      if (load<i32>(offsets + (<usize>b << 2), 4) < load<i32>(offsets + (<usize>b << 2))) return 0x40000000 + b;
    }
  }
  const lookups = view.lookups;
  if (lookups == 0) return 0;
  const hash = view.hash;
  const mask = view.mask;
  const rows = view.rows;
  const inverse = view.inverse;
  const cardinality = view.cardinality;
  const owners = view.owners;
  const ids = view.ids + (<usize>view.first << 2);
  memory.fill(hash, 0, (<usize>mask + 1) << 2);
  let count: u32 = 0;
  for (let l = 0; l < lookups; l++) {
    const id = load<u32>(ids + (<usize>l << 2));
    if (id >= cardinality) return l + 1;
    let probe = firstProbe(id, mask);
    for (;;) {
      const entry = load<u32>(hash + (<usize>probe << 2));
      if (entry == 0) {
        if (owners != 0 && <u32>load<u16>(owners + (<usize>id << 1)) != view.table) return l + 1;
        store<u32>(rows + (<usize>count << 2), id);
        store<u32>(inverse + (<usize>l << 2), count);
        count++;
        store<u32>(hash + (<usize>probe << 2), count);
        break;
      }
      if (load<u32>(rows + (<usize>(entry - 1) << 2)) == id) {
        store<u32>(inverse + (<usize>l << 2), entry - 1);
        break;
      }
      probe = (probe + 1) & mask;
    }
  }
  view.count = count;
  return 0;
}
