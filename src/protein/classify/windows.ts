/** @file How a long sequence is read: in overlapping windows. */

/** Residues `[start, end)` of a sequence. */
export interface Window {
  start: number;
  end: number;
}

/**
 * Windows of `length` residues, each half a window behind the one before; the last ends with the sequence and may be
 * shorter. A sequence that fits is one window.
 */
export function* windowsOf(residues: number, length: number): Generator<Window> {
  const stride = Math.max(1, Math.floor(length / 2));
  for (let start = 0; ; start += stride) {
    const end = Math.min(residues, start + length);
    yield { start, end };
    if (end === residues) return;
  }
}

/** How many windows {@link windowsOf} gives. */
export function windowCount(residues: number, length: number): number {
  const stride = Math.max(1, Math.floor(length / 2));
  return residues <= length ? 1 : 1 + Math.ceil((residues - length) / stride);
}
