/**
 * @file Generates many sequences on one runner at once. Requests join and leave at token boundaries; each has its own
 * sampling, stop rules, KV policy and signal. What a request comes to does not depend on those beside it (on a GPU
 * within rounding).
 *
 * One loop drives the runner: it admits what has room, reads the prompts of those that join in one pass, else decodes a
 * token of every running sequence. Whoever else uses the runner meanwhile breaks it.
 */
import { ParetoError } from "../../base/errors.ts";
import { Sampler } from "../generate/sampler.ts";
import type { ModelFiles } from "../load/weights.ts";
import { openRunner, type RunnerOptions } from "../runner/openRunner.ts";
import type { LlmRunner, SequenceOptions } from "../runner/runner.ts";
import { requirePrefill } from "../runner/sequenceErrors.ts";
import { Admission } from "./admission.ts";
import { BeamSequence, SampledSequence } from "./continuation.ts";
import { Conversation, type ConversationState } from "./conversation.ts";
import { type Entry, giveTokens, memoryOf } from "./entry.ts";
import { EventChannel } from "./eventChannel.ts";
import type {
  ConversationRequest,
  FinishReason,
  GenerateRequest,
  TokenEvent,
  TokenRequest,
} from "./request.ts";
import { requireNumber } from "../optionChecks.ts";
import { requireRequest, TOKENS } from "./requestChecks.ts";
import { sequenceOptions } from "./sequenceOptions.ts";

/** Prompt tokens read in one pass, so that a pass's hidden states stay small; a longer prompt is read alone. */
const PREFILL_TOKENS = 8192;

/** Limits of an engine. */
export interface EngineOptions {
  /** Most bytes of KV caches at a time, of all sequences. Without a limit unless given. */
  maxCacheBytes?: number;
}

/** What an engine does and has done. Seconds are those of its passes. */
export interface EngineStats {
  running: number;
  waiting: number;
  /** Bytes set aside for caches; 0 without a limit. */
  cacheBytes: number;
  promptTokens: number;
  prefillSeconds: number;
  /** New tokens of decode passes; beams of one request count once. */
  decodeTokens: number;
  decodeSeconds: number;
}

/** Many requests over one runner. */
export class LlmEngine {
  readonly #runner: LlmRunner;
  readonly #admission: Admission;
  readonly #waiting: Entry[] = [];
  #running: Entry[] = [];
  /** Conversations that hold a sequence. */
  readonly #conversations = new Set<ConversationState>();
  #loop: Promise<void> = Promise.resolve();
  #isLooping = false;
  #isClosed = false;
  #requests = 0;
  readonly #totals = { promptTokens: 0, prefillSeconds: 0, decodeTokens: 0, decodeSeconds: 0 };

  /** @param runner used by nothing else until the engine is closed @throws ParetoError LLM_OPTION */
  constructor(runner: LlmRunner, { maxCacheBytes = Number.POSITIVE_INFINITY }: EngineOptions = {}) {
    if (maxCacheBytes !== Number.POSITIVE_INFINITY)
      requireNumber("LlmEngine", "maxCacheBytes", maxCacheBytes, { above: 0 });
    this.#runner = runner;
    this.#admission = new Admission(runner, maxCacheBytes);
  }

  /**
   * Opens a model's runner and an engine over it. The files may be closed afterwards; {@link dispose} closes both.
   * @throws ParetoError as `openRunner`
   */
  static async open(files: ModelFiles, options: RunnerOptions & EngineOptions): Promise<LlmEngine> {
    const { maxCacheBytes, ...rest } = options;
    const runner = await openRunner(files, rest);
    return new LlmEngine(runner, maxCacheBytes === undefined ? {} : { maxCacheBytes });
  }

  /** What it generates on. */
  get runner(): LlmRunner {
    return this.#runner;
  }

  /** What it does now, and what it has done since it was made. */
  get stats(): EngineStats {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      cacheBytes: this.#admission.bytes,
      ...this.#totals,
    };
  }

  /**
   * Generates a sequence. It joins the running ones at the next token for which there is room, in the order of requests.
   * Leaving the iterator early ends it, as its signal does.
   * @returns its tokens as they are chosen, and one end event
   * @throws ParetoError at once: LLM_OPTION, LLM_SEQUENCE, LLM_CACHE_BYTES for what never fits, LLM_PROMPT, LLM_CONTEXT,
   *   POLICY_TEXT, POLICY_UNKNOWN, POLICY_OPTION and what the policy refuses, LLM_ENGINE_CLOSED; by the iterator: what
   *   the runner refuses, LLM_LOGITS
   */
  generate(request: GenerateRequest): AsyncIterableIterator<TokenEvent> {
    const number = ++this.#requests;
    const id = request.id ?? String(number);
    requireRequest("LlmEngine.generate", request, this.#runner.config);
    const { maxNewTokens, beams = 1, cachedNewTokens = maxNewTokens } = request;
    const options = sequenceOptions(request, id, maxNewTokens, cachedNewTokens);
    return this.#enqueue({ id, request, options, beams, conversation: null });
  }

  /**
   * Begins a conversation: requests whose prompts are further turns of one sequence. End it, or it keeps its sequence.
   * @throws ParetoError LLM_OPTION, POLICY_TEXT, POLICY_UNKNOWN, POLICY_OPTION and what the policy refuses
   */
  converse(request: ConversationRequest): Conversation {
    const number = ++this.#requests;
    const id = request.id ?? String(number);
    const { maxNewTokens } = request;
    requireNumber("LlmEngine.converse", "maxNewTokens", maxNewTokens, TOKENS);
    const state: ConversationState = {
      id,
      options: sequenceOptions(request, id, maxNewTokens, maxNewTokens),
      sequence: null,
      bytes: 0,
      tokens: 0,
      text: [],
      unread: null,
      isBusy: false,
      isOver: false,
    };
    return new Conversation(
      state,
      (turn) => this.#turn(turn, state),
      () => this.#endConversation(state),
    );
  }

  /** Ends all requests and conversations, as their signals would, and frees their sequences. The runner stays open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const state of this.#conversations) this.#endConversation(state);
    do {
      this.#wake();
      await this.#loop;
    } while (this.#running.length > 0 || this.#waiting.length > 0);
  }

  /** Closes the engine and the runner. */
  async dispose(): Promise<void> {
    await this.close();
    await this.#runner.dispose();
  }

  #turn(turn: TokenRequest, state: ConversationState): AsyncIterableIterator<TokenEvent> {
    requireRequest("Conversation.generate", turn, this.#runner.config);
    const prompt = state.unread === null ? turn.prompt : [state.unread, ...turn.prompt];
    const { id, options } = state;
    const events = this.#enqueue({
      id,
      request: { ...turn, prompt },
      options,
      beams: 1,
      conversation: state,
    });
    state.isBusy = true;
    return events;
  }

  #enqueue(made: {
    id: string;
    request: TokenRequest;
    options: SequenceOptions;
    beams: number;
    conversation: ConversationState | null;
  }): AsyncIterableIterator<TokenEvent> {
    const { id, request, options, beams, conversation } = made;
    const { prompt, maxNewTokens, signal } = request;
    if (this.#isClosed) throw closed();
    const { config } = this.#runner;
    const promptTokens = (conversation?.tokens ?? 0) + prompt.length;
    const { policies } = options;
    const isRenumbered = policies(0).positions === "new";
    const nextPosition = isRenumbered ? 0 : promptTokens - prompt.length;
    const state = { options: { ...options, maxNewTokens }, isRenumbered, nextPosition };
    requirePrefill(config, { ...state, hasPrompt: false, isPartial: false }, { sequence: 0, tokens: prompt });
    const newTokens = options.maxNewTokens;
    const bytes = this.#admission.bytesOf({ policies, promptTokens, newTokens, beams });
    this.#admission.requirePossible(beams, bytes);
    const stopTokenIds = new Set([
      ...(request.ignoreEos === true ? [] : (config.eosTokenIds ?? [])),
      ...(request.stopTokenIds ?? []),
    ]);
    const sampled = {
      maxNewTokens,
      stopTokenIds,
      forced: request.forced ?? [],
      hasLogProbabilities: request.hasLogProbabilities ?? false,
    };
    const sampler = new Sampler(request.sampling);
    sampler.observe(conversation?.text ?? []);
    sampler.observe(prompt);
    const entry: Entry = {
      id,
      prompt,
      options,
      bytes,
      beams,
      signal,
      channel: new EventChannel(() => this.#leave(entry)),
      conversation,
      begin: (sequences) =>
        beams === 1
          ? new SampledSequence(sequences[0]!, sampler, sampled)
          : new BeamSequence(this.#runner, sequences, {
              beams,
              maxNewTokens,
              eosTokenIds: [...stopTokenIds],
            }),
      continuation: null,
      held: 0,
      given: 0,
      isLeft: false,
      onAbort: null,
      created: performance.now(),
      seconds: { waiting: 0, prefill: 0, decode: 0 },
      decodeSteps: 0,
    };
    if (signal) {
      entry.onAbort = () => this.#wake();
      signal.addEventListener("abort", entry.onAbort, { once: true });
    }
    this.#waiting.push(entry);
    this.#wake();
    return entry.channel;
  }

  /** Somebody stopped iterating. */
  #leave(entry: Entry): void {
    entry.isLeft = true;
    this.#wake();
  }

  /** Goes on with the loop, behind what is done now: requests of one turn of the event loop join together. */
  #wake(): void {
    if (this.#isLooping) return;
    this.#isLooping = true;
    this.#loop = Promise.resolve()
      .then(() => this.#run())
      .catch((error: unknown) => this.#failAll(error));
  }

  /** A failure outside a pass, such as of a runner that is gone: nothing can go on. */
  #failAll(error: unknown): void {
    this.#isLooping = false;
    for (const entry of [...this.#running, ...this.#waiting]) {
      this.#forget(entry);
      entry.channel.fail(error);
    }
    for (const state of this.#conversations) Object.assign(state, { isOver: true, isBusy: false });
    this.#conversations.clear();
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    for (;;) {
      this.#dropAborted();
      const joining = this.#admit();
      if (joining.length > 0) await this.#prefill(joining);
      else if (this.#running.length > 0) await this.#decode();
      else {
        // At once, so that no request comes between the look and the end of the loop.
        this.#isLooping = false;
        return;
      }
      for (const entry of this.#running) giveTokens(entry);
      for (const entry of this.#running.filter(({ continuation }) => continuation!.next.length === 0))
        this.#end(entry, entry.continuation!.continued.finishReason!);
    }
  }

  /** Ends what was aborted or left, running or waiting. */
  #dropAborted(): void {
    const isAborted = (entry: Entry) => this.#isClosed || entry.isLeft || entry.signal?.aborted === true;
    for (const entry of [...this.#running, ...this.#waiting].filter(isAborted)) this.#end(entry, "abort");
  }

  /** Takes what there is room for from the waiting requests, in order, up to one pass of prompts. */
  #admit(): Entry[] {
    const joining: Entry[] = [];
    let tokens = 0;
    // Turns of conversations have their sequence already: what waits for one must not keep them from going on.
    const holdsSequence = ({ conversation }: Entry) =>
      conversation !== null && conversation.sequence !== null;
    for (;;) {
      const entry = this.#waiting.find(holdsSequence) ?? this.#waiting[0];
      if (!entry) break;
      if (tokens > 0 && tokens + entry.prompt.length > PREFILL_TOKENS) break;
      const { conversation, bytes } = entry;
      const own = conversation?.sequence ?? null;
      const already = conversation?.bytes ?? 0;
      const taken = this.#admission.take(own === null ? entry.beams : 0, bytes.peak - already);
      if (taken === null) break;
      const sequences = own === null ? taken : [own];
      if (conversation) {
        conversation.sequence = sequences[0]!;
        conversation.bytes = 0;
        this.#conversations.add(conversation);
      }
      entry.held = bytes.peak;
      entry.continuation = entry.begin(sequences);
      entry.seconds.waiting = secondsSince(entry.created);
      this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      this.#running.push(entry);
      try {
        if (own === null) this.#runner.begin(sequences[0]!, entry.options);
      } catch (error) {
        this.#free(entry, true);
        entry.channel.fail(error);
        continue;
      }
      tokens += entry.prompt.length;
      joining.push(entry);
    }
    return joining;
  }

  async #prefill(joining: readonly Entry[]): Promise<void> {
    const started = performance.now();
    await this.#guarded(joining, async () => {
      const logits = await this.#runner.prefill(
        joining.map(({ continuation, prompt }) => ({
          sequence: continuation!.sequences[0]!,
          tokens: prompt,
        })),
      );
      const { vocabSize } = this.#runner.config;
      for (const [row, entry] of joining.entries()) {
        await entry.continuation!.choose(logits.subarray(row * vocabSize, (row + 1) * vocabSize));
        this.#totals.promptTokens += entry.prompt.length;
      }
    });
    const seconds = secondsSince(started);
    this.#totals.prefillSeconds += seconds;
    for (const entry of joining) {
      entry.seconds.prefill += seconds;
      if (!this.#running.includes(entry)) continue;
      this.#admission.resize(entry.held, entry.bytes.held);
      entry.held = entry.bytes.held;
    }
  }

  /** Goes on with every running request by a token, chosen on the device where none needs its logits. */
  async #decode(): Promise<void> {
    const started = performance.now();
    const running = [...this.#running];
    await this.#guarded(running, async () => {
      const tokens = running.flatMap(({ continuation }) => continuation!.next);
      const samplers = running.map(({ continuation }) => continuation!.sampler);
      if (samplers.every((sampler) => sampler !== null)) {
        const chosen = await this.#runner.decodeTokens(tokens, samplers);
        for (const [row, { continuation }] of running.entries()) continuation!.take(chosen[row]!);
        return;
      }
      const logits = await this.#runner.decode(tokens);
      const { vocabSize } = this.#runner.config;
      let row = 0;
      for (const { continuation } of running) {
        const end = row + continuation!.next.length;
        await continuation!.choose(logits.subarray(row * vocabSize, end * vocabSize));
        row = end;
      }
    });
    const seconds = secondsSince(started);
    this.#totals.decodeTokens += running.length;
    this.#totals.decodeSeconds += seconds;
    for (const entry of running) {
      entry.seconds.decode += seconds;
      entry.decodeSteps++;
    }
  }

  /** A pass; when it fails, the runner has lost the sequences in it, and their requests fail. */
  async #guarded(entries: readonly Entry[], pass: () => Promise<void>): Promise<void> {
    try {
      await pass();
    } catch (error) {
      for (const entry of entries) {
        this.#free(entry, true);
        entry.channel.fail(error);
      }
    }
  }

  #end(entry: Entry, finishReason: FinishReason): void {
    const { id, prompt, continuation, seconds, decodeSteps, conversation } = entry;
    const memory = continuation && memoryOf(continuation.sequences.map((each) => this.#runner.memory(each)));
    const continued = continuation?.continued ?? { tokens: [] };
    const { tokens } = continued;
    if (conversation) {
      conversation.tokens += prompt.length + tokens.length;
      for (const token of [...prompt, ...tokens]) conversation.text.push(token);
      // The last token was chosen, and not decoded; one before a stop token was.
      conversation.unread = finishReason === "length" ? tokens.at(-1)! : null;
      if (conversation.unread !== null) conversation.tokens--;
    }
    this.#free(entry, finishReason === "abort");
    entry.channel.push({
      event: "end",
      ...continued,
      id,
      finishReason,
      promptTokens: prompt.length,
      tokens: [...tokens],
      memory,
      seconds: continuation ? seconds : { ...seconds, waiting: secondsSince(entry.created) },
      decodeSteps,
    });
    entry.channel.close();
  }

  /** Takes a request off the lists. */
  #forget(entry: Entry): void {
    const { signal, onAbort } = entry;
    if (signal && onAbort) signal.removeEventListener("abort", onAbort);
    this.#running = this.#running.filter((each) => each !== entry);
    const waiting = this.#waiting.indexOf(entry);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
  }

  /** Takes a request out. @param isLost a conversation's sequence goes with it */
  #free(entry: Entry, isLost: boolean): void {
    const { continuation, conversation, held } = entry;
    this.#forget(entry);
    if (conversation) {
      conversation.isBusy = false;
      if (continuation) conversation.bytes = held;
      if (isLost) this.#endConversation(conversation);
    } else if (continuation) {
      for (const sequence of continuation.sequences) this.#runner.release(sequence);
      this.#admission.leave(continuation.sequences, held);
    }
  }

  #endConversation(state: ConversationState): void {
    state.isOver = true;
    if (state.isBusy) {
      // The loop ends its turn, and comes back here.
      for (const entry of [...this.#running, ...this.#waiting])
        if (entry.conversation === state) this.#leave(entry);
      return;
    }
    if (state.sequence === null) return;
    this.#runner.release(state.sequence);
    this.#admission.leave([state.sequence], state.bytes);
    state.sequence = null;
    this.#conversations.delete(state);
    this.#wake();
  }
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}

function closed(): ParetoError {
  return new ParetoError({
    code: "LLM_ENGINE_CLOSED",
    where: "LlmEngine.generate",
    message: "a closed engine takes no requests, got one",
    fix: "Make another engine over the runner.",
  });
}
