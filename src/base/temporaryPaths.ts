/**
 * @file Files and folders that this process is still making, so that a signal can remove them before it ends the process.
 *
 * Whoever makes one holds it, and releases it once it is removed or has its place. Nothing here listens to signals.
 */
import { rmSync } from "node:fs";

const held = new Set<string>();
let onChange: () => void = () => {};

/** Holds a path until it is released. @returns releases it; nothing is removed */
export function holdTemporary(path: string): () => void {
  held.add(path);
  onChange();
  return () => {
    held.delete(path);
    onChange();
  };
}

/** Whether anything would be left behind. */
export function holdsTemporary(): boolean {
  return held.size > 0;
}

/** Removes all that is held, at once; what cannot be removed stays. */
export function removeTemporary(): void {
  for (const path of held) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // The process ends; the next one that builds the same replaces it.
    }
  }
  held.clear();
}

/** Calls a listener, the only one, whenever paths are held or released. */
export function watchTemporary(listener: () => void): void {
  onChange = listener;
}
