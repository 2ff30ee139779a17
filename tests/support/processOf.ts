/** @file A function that says which process runs it. */

export async function processOf(text: string): Promise<{ text: string; pid: number }> {
  return { text, pid: process.pid };
}
