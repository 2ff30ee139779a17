/** @file A request on its way through an engine. */
import type { SequenceMemory, SequenceOptions } from "../runner/runner.ts";
import type { RequestBytes } from "./admission.ts";
import type { Continuation } from "./continuation.ts";
import type { ConversationState } from "./conversation.ts";
import type { EventChannel } from "./eventChannel.ts";
import type { TokenEvent } from "./request.ts";

/** A request on its way. */
export interface Entry {
  readonly id: string;
  readonly prompt: readonly number[];
  readonly options: SequenceOptions;
  readonly bytes: RequestBytes;
  readonly beams: number;
  readonly signal: AbortSignal | undefined;
  readonly channel: EventChannel<TokenEvent>;
  readonly conversation: ConversationState | null;
  /** Made when it joins. */
  readonly begin: (sequences: readonly number[]) => Continuation;
  continuation: Continuation | null;
  /** Bytes that are set aside for it now. */
  held: number;
  /** Tokens that were given. */
  given: number;
  /** Nobody iterates any more, or its conversation has ended. */
  isLeft: boolean;
  onAbort: (() => void) | null;
  readonly created: number;
  seconds: { waiting: number; prefill: number; decode: number };
  decodeSteps: number;
}

/** Gives tokens that were not given yet; beams change theirs until the end. */
export function giveTokens(entry: Entry): void {
  const { continuation, channel, id } = entry;
  if (entry.beams > 1 && continuation!.next.length > 0) return;
  const { tokens, logProbabilities } = continuation!.continued;
  for (; entry.given < tokens.length; entry.given++) {
    const index = entry.given;
    channel.push({
      event: "token",
      id,
      index,
      token: tokens[index]!,
      ...(logProbabilities && { logProbability: logProbabilities[index]! }),
    });
  }
}

/** What several sequences of one request hold: bytes of all, tokens of each. */
export function memoryOf(sequences: readonly SequenceMemory[]): SequenceMemory {
  const sum = (key: keyof SequenceMemory) => sequences.reduce((total, memory) => total + memory[key], 0);
  return {
    kvBytes: sum("kvBytes"),
    bookkeepingBytes: sum("bookkeepingBytes"),
    fullKvBytes: sum("fullKvBytes"),
    evictedTokens: sum("evictedTokens") / sequences.length,
    tokensSeen: Math.max(...sequences.map(({ tokensSeen }) => tokensSeen)),
  };
}
