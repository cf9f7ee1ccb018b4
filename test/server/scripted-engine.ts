import { setImmediate as tick } from 'node:timers/promises';

import { toSequenceRequest } from '../../src/engine/beams/beam-group.js';
import { EngineError } from '../../src/engine/errors.js';
import type {
  BeamRequest,
  BlendRequest,
  Generation,
  GenerationEvent,
  GenerationRequest,
} from '../../src/engine/request.js';
import { TextStream } from '../../src/tokenizer/text-stream.js';

const encode = (text: string): number[] => [...new TextEncoder().encode(text)];

/** A tokenizer whose tokens are bytes; a source stands between 1 and 2. */
export const byteTokenizer = {
  encode,
  encodeSource: (text: string): number[] => [1, ...encode(text), 2],
  minTokens: (text: string): number => Buffer.byteLength(text),
  tokenBytes: (id: number): Uint8Array => Uint8Array.of(id),
};

/** What a script may do at a token: go on, wait until the test says so, or fail. */
export type Script = (request: GenerationRequest, step: number) => Promise<void> | void;

/**
 * An engine that says the prompt again and again, so that a test knows each answer. It is for what the real engine does not do on
 * request: hang, fail half-way, be full.
 */
export class ScriptedEngine {
  healthy = true;
  readonly submitted: GenerationRequest[] = [];
  cancelled = 0;
  running = 0;
  /** Sequences it accepts in all. */
  capacity = Infinity;
  script: Script = () => undefined;

  submit(request: GenerationRequest): Generation {
    if (this.submitted.length >= this.capacity) throw new EngineError('queue_full', 'full');
    this.submitted.push(request);
    this.running++;
    let open = true;
    const leave = (cancelled: boolean): void => {
      if (!open) return;
      open = false;
      this.running--;
      if (cancelled) this.cancelled++;
    };
    const events = this.#generate(
      request,
      () => open,
      () => leave(false),
    );
    return { [Symbol.asyncIterator]: () => events, cancel: () => leave(true) };
  }

  /** As many sequences as there are beams, all alike. */
  submitBeams(request: BeamRequest): Generation[] {
    return Array.from({ length: request.width }, () => this.submit(toSequenceRequest(request)));
  }

  /** One sequence, whatever the entries are. */
  submitBlend({ entries: _, ...request }: BlendRequest): Generation {
    return this.submit(request);
  }

  /** All: what it is full of leaves again. */
  countFitting(requests: readonly unknown[]): number {
    return requests.length;
  }

  async *#generate(
    request: GenerationRequest,
    isOpen: () => boolean,
    leave: () => void,
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    const stream = new TextStream(byteTokenizer);
    try {
      if (request.promptLogprobs !== undefined && request.prompt.length > 1) yield scorePrompt(request);
      for (let step = 0; step < request.maxTokens; step++) {
        const wait = this.script(request, step);
        if (wait) await Promise.race([wait, untilClosed(isOpen)]);
        await tick();
        if (!isOpen()) return yield { type: 'finish', reason: 'abort', text: '' };
        yield token(request, step, stream);
      }
      yield { type: 'finish', reason: 'length', text: stream.end() };
    } finally {
      leave();
    }
  }
}

/** Its logprobs are -1, -2 and so on. */
function scorePrompt({ prompt, promptLogprobs }: GenerationRequest): GenerationEvent {
  const tokens = prompt.slice(1).map((id, i) => {
    const logprob = -1 - i;
    return { id, logprob, top: [{ id, logprob }].slice(0, promptLogprobs) };
  });
  return { type: 'prompt', tokens };
}

function token(request: GenerationRequest, step: number, stream: TextStream): GenerationEvent {
  const id = request.prompt[step % request.prompt.length] ?? 0;
  const top = [{ id, logprob: -0.25 }].slice(0, request.logprobs);
  return { type: 'token', id, text: stream.push(id), ...(request.logprobs !== undefined && { logprob: -0.25, top }) };
}

async function untilClosed(isOpen: () => boolean): Promise<void> {
  while (isOpen()) await new Promise((resolve) => setTimeout(resolve, 2));
}
