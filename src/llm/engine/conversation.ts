/**
 * @file A sequence that stays between requests: the prompt of each is a further turn, read behind what the cache kept.
 * It takes a sequence of the runner from its first turn until it ends.
 */
import { ParetoError } from "../../base/errors.ts";
import type { SequenceOptions } from "../runner/runner.ts";
import type { TokenEvent, TokenRequest } from "./request.ts";

/** What the engine knows of a conversation. */
export interface ConversationState {
  readonly id: string;
  readonly options: SequenceOptions;
  /** The runner's sequence; null before the first turn. */
  sequence: number | null;
  /** Bytes that are set aside for its cache. */
  bytes: number;
  /** Tokens of all turns so far that were decoded. */
  tokens: number;
  /** All tokens of its turns, for samplers that penalise them. */
  readonly text: number[];
  /** The last token chosen, where it has not been decoded: the next turn begins with it. */
  unread: number | null;
  /** A turn goes on. */
  isBusy: boolean;
  isOver: boolean;
}

/** Turns of one sequence, one after the other. A turn that is aborted or fails ends it. */
export class Conversation {
  readonly #state: ConversationState;
  readonly #start: (request: TokenRequest, state: ConversationState) => AsyncIterableIterator<TokenEvent>;
  readonly #end: (state: ConversationState) => void;

  constructor(
    state: ConversationState,
    start: (request: TokenRequest, state: ConversationState) => AsyncIterableIterator<TokenEvent>,
    end: (state: ConversationState) => void,
  ) {
    this.#state = state;
    this.#start = start;
    this.#end = end;
  }

  /** What events and decisions call it. */
  get id(): string {
    return this.#state.id;
  }

  /** Whether it has ended, by {@link end} or because a turn was aborted or failed. */
  get isOver(): boolean {
    return this.#state.isOver;
  }

  /**
   * The next turn.
   * @throws ParetoError LLM_CONVERSATION while a turn goes on, and after the end; what `LlmEngine.generate` refuses
   */
  generate(turn: TokenRequest): AsyncIterableIterator<TokenEvent> {
    if (this.#state.isBusy || this.#state.isOver)
      throw new ParetoError({
        code: "LLM_CONVERSATION",
        where: "Conversation.generate",
        message: `a conversation takes one turn at a time until it ends, got a turn ${this.#state.isOver ? "after its end" : "while one goes on"}`,
        fix: "Wait for the end event of the turn before, or begin another conversation.",
      });
    return this.#start(turn, this.#state);
  }

  /** Frees its sequence; a turn that goes on is aborted. */
  end(): void {
    this.#end(this.#state);
  }
}
