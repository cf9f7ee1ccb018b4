import { afterEach, expect } from 'vitest';

import { Engine, type EngineOptions } from '../../src/engine/engine.js';
import { EngineError } from '../../src/engine/errors.js';
import type { FinishReason } from '../../src/engine/finish-reason.js';
import type { Generation, GenerationRequest, ScoredToken, TokenEvent } from '../../src/engine/request.js';
import type { TokenBytes } from '../../src/tokenizer/text-stream.js';
import { FakeRunner, type FakeRunnerOptions } from './fake-runner.js';

/** The end token of these tests. */
const EOS = 0;

/** Ids from 128 on are the two bytes of é, in turns; the others are letters. */
export const letters: TokenBytes = {
  tokenBytes: (id) => Uint8Array.of(id < 128 ? 97 + (id % 26) : id % 2 === 0 ? 0xc3 : 0xa9),
};

/** A greedy request for 8 tokens behind three, with what a test changes. */
export function makeRequest(changes: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    tenant: 'tenant',
    prompt: [1, 2, 3],
    sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined },
    choice: 0,
    maxTokens: 8,
    minTokens: 0,
    stop: [],
    stopTokenIds: [],
    ignoreEos: true,
    logprobs: undefined,
    ...changes,
  };
}

/** A sampled request's parameters. */
export const sampled = (seed: number | undefined, temperature = 1): GenerationRequest['sampling'] => {
  return { temperature, topP: 1, topK: 0, seed };
};

export interface EngineUnderTest {
  readonly engine: Engine;
  readonly runner: FakeRunner;
}

export function makeEngine(fake: FakeRunnerOptions = {}, options: Partial<EngineOptions> = {}): EngineUnderTest {
  const runner = new FakeRunner(fake);
  const engine = new Engine({ runner, tokenizer: letters, eosTokenIds: [EOS], ...options });
  return { engine, runner };
}

/** Makes engines for the tests of a file. After each test those made in it come to rest, and their books must add up. */
export function engineMaker(): typeof makeEngine {
  const engines: EngineUnderTest[] = [];
  afterEach(async () => {
    for (const { engine } of engines.splice(0)) {
      await engine.idle();
      engine.checkIntegrity();
      expect(engine.stats()).toMatchObject({ waiting: 0, waitingTokens: 0, running: 0, kvUsage: 0 });
    }
  });
  return (fake, options) => {
    const made = makeEngine(fake, options);
    engines.push(made);
    return made;
  };
}

/** Everything that a sequence yielded. */
export interface Collected {
  readonly ids: readonly number[];
  readonly text: string;
  readonly reason: FinishReason | undefined;
  readonly tokens: readonly TokenEvent[];
  /** The prompt's tokens, where they are scored. */
  readonly prompt: readonly ScoredToken[];
}

/** Reads a sequence to its end, or leaves it after `leaveAfter` tokens. */
export async function collect(generation: Generation, leaveAfter = Infinity): Promise<Collected> {
  const tokens: TokenEvent[] = [];
  const prompt: ScoredToken[] = [];
  let text = '';
  let reason: FinishReason | undefined;
  for await (const event of generation) {
    if (reason !== undefined) throw new Error('an event behind the finish');
    if (event.type === 'prompt') {
      if (tokens.length > 0) throw new Error('a prompt event behind a token');
      prompt.push(...event.tokens.map(listed));
      continue;
    }
    text += event.text;
    if (event.type === 'finish') reason = event.reason;
    else if (tokens.push(listed(event)) >= leaveAfter) break;
  }
  return { ids: tokens.map(({ id }) => id), text, reason, tokens, prompt };
}

/** The same token with its best ones as an array, which tests compare. */
function listed<T extends ScoredToken | TokenEvent>(token: T): T {
  return token.top ? { ...token, top: [...token.top] } : token;
}

/** The code that a submission is refused with, or else what it throws; undefined if it is accepted. */
export function codeOf(submit: () => unknown): string | undefined {
  try {
    submit();
  } catch (error) {
    return error instanceof EngineError ? error.code : String(error);
  }
  return undefined;
}

/** What the request yields in an engine of its own with one slot. */
export function runAlone(request: GenerationRequest): Promise<Collected> {
  const { engine } = makeEngine({ slots: 1 }, { limits: { maxChunkTokens: 1000 } });
  return collect(engine.submit(request));
}

export function textOf(ids: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...letters.tokenBytes(id)])));
}
