/**
 * @file Many requests to an engine at once, each given as soon as it is over. Requests are drawn from their source as the
 * engine gets to them, so there may be any number of them.
 */
import type { LlmEngine } from "./llmEngine.ts";
import { EventChannel } from "./eventChannel.ts";
import type { EndEvent, GenerateRequest } from "./request.ts";
import type { SequenceMemory } from "../runner/runner.ts";

/** What a request came to. */
export interface BatchResult extends EndEvent {
  /** Its place among the requests. */
  index: number;
  memory: SequenceMemory;
}

/** How a batch is run. */
export interface BatchOptions {
  /** Ends all requests at the next token; those that have begun are given. */
  signal?: AbortSignal;
}

/**
 * Generates all requests and gives each as soon as it is over. Leaving the iterator early ends them, as does the failure of
 * one.
 * @throws ParetoError what `LlmEngine.generate` refuses and what the runner does
 */
export async function* runBatch(
  engine: LlmEngine,
  requests: Iterable<GenerateRequest>,
  { signal }: BatchOptions = {},
): AsyncGenerator<BatchResult, void> {
  const stop = new AbortController();
  const source = requests[Symbol.iterator]();
  const results = new EventChannel<BatchResult>(() => stop.abort());
  // As many wait as may run, so that all places that become free at once are taken at once.
  const window = 2 * engine.runner.maxSequences;
  const following = new Set<Promise<void>>();
  let index = 0;
  let isDrained = false;

  const follow = async (request: GenerateRequest, place: number): Promise<void> => {
    const signals = [stop.signal, signal, request.signal].filter((each) => each !== undefined);
    try {
      for await (const event of engine.generate({ ...request, signal: AbortSignal.any(signals) }))
        if (event.event === "end" && event.memory !== null)
          results.push({ ...event, memory: event.memory, index: place });
    } catch (error) {
      results.fail(error);
      stop.abort();
    }
  };
  const isStopped = () => stop.signal.aborted || signal?.aborted === true;
  const submit = (): void => {
    while (!isDrained && following.size < window && !isStopped()) {
      const { done, value } = source.next();
      if (done === true) isDrained = true;
      else {
        const followed = follow(value, index++).then(() => {
          following.delete(followed);
          submit();
        });
        following.add(followed);
      }
    }
    if (following.size === 0) results.close();
  };

  try {
    submit();
    yield* results;
  } finally {
    stop.abort();
    await Promise.all(following);
  }
}

/** The end of a request, its tokens with it. @throws ParetoError what the iterator does */
export async function endOf(events: ReturnType<LlmEngine["generate"]>): Promise<EndEvent> {
  let last: EndEvent | undefined;
  for await (const event of events) if (event.event === "end") last = event;
  return last!;
}
