import type { ChunkChoice, CompletionChunk, CompletionResponse } from './schema.js';
import { keepBest, type Candidate } from './best-of.js';
import { collectChoice, isSilent, type RunningChoice } from './choice.js';
import type { Completion } from '../completion.js';

/** Sends one event; settles when the receiver can take more. */
export type Send = (data: object) => Promise<void>;

/** Reads every choice to its end and keeps the best. If one fails, the others are cancelled. */
export function collectCompletion(completion: Completion): Promise<CompletionResponse> {
  return answering(completion, async () => {
    const { n, bestOf } = completion.params;
    const candidates = await Promise.all(completion.choices.map((choice) => collectCandidate(choice, completion)));
    return { ...head(completion), choices: keepBest(candidates, n, bestOf), usage: completion.usage() };
  });
}

/** Answers a completion: cancels what is left of it if that fails, and settles its limits in the end. */
export async function answering<T>(completion: Completion, answer: () => Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    completion.cancel();
    throw error;
  } finally {
    completion.settle();
  }
}

async function collectCandidate(running: RunningChoice, { mayWrite }: Completion): Promise<Candidate> {
  const choice = await collectChoice(running, mayWrite);
  return { choice, score: running.writer.score };
}

/** Sends each choice's chunks as they come, and the usage at the end if it was asked for. If one fails, the others are cancelled. */
export function streamCompletion(completion: Completion, send: Send): Promise<void> {
  const { includeUsage, continuousUsage } = completion.params;
  const chunkHead = { ...head(completion), ...(includeUsage && { usage: null }) };
  const sendOne = (running: RunningChoice, one: ChunkChoice): Promise<void> =>
    send({
      ...chunkHead,
      choices: [one],
      ...(continuousUsage && { usage: running.usage() }),
    } satisfies CompletionChunk);
  return answering(completion, async () => {
    await Promise.all(
      completion.choices.map((choice) => streamChoice(choice, completion, (one) => sendOne(choice, one))),
    );
    if (includeUsage) await send({ ...chunkHead, choices: [], usage: completion.usage() } satisfies CompletionChunk);
  });
}

async function streamChoice(
  { generation, writer }: RunningChoice,
  { mayWrite }: Completion,
  send: (choice: ChunkChoice) => Promise<void>,
): Promise<void> {
  for await (const event of generation) {
    await mayWrite(writer.piecesOf(event));
    const choice = writer.write(event);
    if (!isSilent(choice)) await send(choice);
  }
}

function head({ id, created, params, version }: Completion): Omit<CompletionChunk, 'choices' | 'usage'> {
  const model = { model: params.model, ...(version !== undefined && { system_fingerprint: version }) };
  return { id, object: 'text_completion', created, ...model };
}
