import type { Kept } from './kept.js';
import { type Run, runChats } from './run.js';

/** Who hears how a conversation goes on. */
interface Listeners {
  /** A turn's answers begin to come. */
  started(run: Run | undefined): void;
  /** What ends the present turn. */
  stopper(stop: () => void): void;
  /** A turn is over: what the user has said so far, the last of it in this turn, and what each column has answered. */
  ended(said: readonly string[], exchanges: Kept['exchanges']): void;
}

/**
 * Sends what the user says next, in every column's own conversation. Where answers of earlier turns are not there, because the conversation came
 * by a link or its columns changed, its turns are held again first.
 */
export async function converse(
  { setup, exchanges }: Kept,
  withProbabilities: boolean,
  listeners: Listeners,
): Promise<void> {
  const isKnown =
    exchanges.length === setup.models.length && exchanges.every(({ length }) => length === setup.said.length);
  let before = isKnown ? exchanges : setup.models.map(() => []);
  const turns = isKnown ? [setup.prompt] : [...setup.said, setup.prompt];
  let said = isKnown ? setup.said : [];
  for (const prompt of turns) {
    const run = runChats({ ...setup, prompt }, before, withProbabilities);
    listeners.stopper(run.stop);
    listeners.started(run);
    await run.ended;
    const answers = run.answers.get();
    if (answers.some(({ status }) => status !== 'done')) return;
    before = before.map((own, index) => [...own, { said: prompt, answered: answers[index]?.text ?? '' }]);
    said = [...said, prompt];
    listeners.ended(said, before);
    listeners.started(undefined);
  }
}
