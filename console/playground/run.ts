import { send } from '../api/client.js';
import { messageOf } from '../api/errors.js';
import { eventsOf } from '../api/events.js';
import type { ChatChunk, ManyChunk } from '../api/types.js';
import { createStore, type Store } from '../ui/store.js';
import { addTo, type Answer, WAITING } from './answer.js';
import { additionOfChat, additionOfCompletion } from './chunks.js';
import { chatOf, completionOf, type Exchange, observedChat, observedCompletion } from './requests.js';
import type { Setup } from './setup.js';

/** A run: what was asked, and the answer of each column, which grows. */
export interface Run {
  readonly setup: Setup;
  readonly answers: Store<readonly Answer[]>;
  /** Settles when every column has its answer, or has failed. Never rejects. */
  readonly ended: Promise<void>;
  /** Ends it; what has come stays. */
  readonly stop: () => void;
}

/** Starts a run of completions: one call, whose requests the server computes together. */
export function runCompletions(setup: Setup, withProbabilities: boolean): Run {
  return start(setup, async (signal, columns) => {
    const requests = setup.models.map((model, index) => ({
      custom_id: String(index),
      body: observedCompletion(completionOf(setup, model), withProbabilities),
    }));
    const answer = await send('batch/completions', { json: { requests, stream: true }, signal });
    for await (const chunk of eventsOf<ManyChunk>(answer)) {
      const column = columns[Number(chunk.custom_id)];
      if (chunk.error) column?.fail(chunk.error.message);
      else column?.add(() => additionOfCompletion(chunk));
    }
  });
}

/**
 * Starts a run of conversations: a call for each column, at the same time.
 * @param exchanges of each column, what was said and answered before
 */
export function runChats(setup: Setup, exchanges: readonly (readonly Exchange[])[], withProbabilities: boolean): Run {
  return start(setup, async (signal, columns) => {
    const talk = async (model: string, index: number): Promise<void> => {
      const request = observedChat(chatOf(setup, model, exchanges[index] ?? []), withProbabilities);
      const column = columns[index];
      try {
        const answer = await send('chat/completions', { json: request, signal });
        for await (const chunk of eventsOf<ChatChunk>(answer)) {
          if (chunk.error) column?.fail(chunk.error.message);
          else column?.add((length) => additionOfChat(chunk, length));
        }
      } catch (error) {
        if (signal.aborted) throw error;
        column?.fail(messageOf(error));
      }
    };
    await Promise.all(setup.models.map(talk));
  });
}

/** Writes to the answer of one column. */
interface ColumnWriter {
  /** Adds what a chunk has. @param read its addition, given the length of the text so far */
  add(read: (length: number) => ReturnType<typeof additionOfCompletion>): void;
  fail(problem: string): void;
}

function start(setup: Setup, work: (signal: AbortSignal, columns: readonly ColumnWriter[]) => Promise<void>): Run {
  const aborter = new AbortController();
  const began = performance.now();
  const current: Answer[] = setup.models.map(() => WAITING);
  const answers = createStore<readonly Answer[]>([...current]);
  let frame: number | undefined;
  // Tokens come faster than a screen shows them.
  const show = (): void => {
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      answers.set([...current]);
    });
  };
  const change = (index: number, make: (answer: Answer) => Answer): void => {
    current[index] = make(current[index] ?? WAITING);
    show();
  };
  const columns = setup.models.map((_, index): ColumnWriter => ({
    add: (read) =>
      change(index, (answer) => {
        const addition = read(answer.text.length);
        return addition ? addTo(answer, addition, performance.now() - began) : answer;
      }),
    fail: (problem) => change(index, (answer) => ({ ...answer, status: 'failed', problem })),
  }));
  const endOthers = (make: (answer: Answer) => Answer): void => {
    current.forEach(({ status }, index) => {
      if (status === 'waiting' || status === 'streaming') change(index, make);
    });
  };
  const ended = work(aborter.signal, columns)
    .then(() => endOthers((answer) => ({ ...answer, status: 'done' })))
    .catch((error: unknown) => {
      if (aborter.signal.aborted) endOthers((answer) => ({ ...answer, status: 'stopped' }));
      else endOthers((answer) => ({ ...answer, status: 'failed', problem: messageOf(error) }));
    })
    .then(() => answers.set([...current])); // a tab in the background has no frames
  return { setup, answers, ended, stop: () => aborter.abort() };
}
