import type { ChatChoice, ChatCompletion } from '../chat/schema.js';
import type { Choice, CompletionResponse, Usage } from './schema.js';

/** Tokens of a choice whose log-probabilities are written in one piece: with 20 for each, some 40 KB. */
const TOKENS_A_PIECE = 64;

/**
 * The JSON of an answer in pieces: one for each choice, and several for the log-probabilities of many tokens. All together they are
 * megabytes.
 */
export function completionJson(answer: CompletionResponse): Generator<string, void> {
  return answerJson(answer, choiceJson);
}

/** The same of a chat completion. */
export function chatJson(answer: ChatCompletion): Generator<string, void> {
  return answerJson(answer, chatChoiceJson);
}

function* answerJson<C>(
  { choices, usage, ...head }: { readonly choices: readonly C[]; readonly usage: Usage },
  toJson: (choice: C) => Generator<string, void>,
): Generator<string, void> {
  yield `${openJson(head)}"choices":[`;
  for (const [i, choice] of choices.entries()) {
    yield comma(i);
    yield* toJson(choice);
  }
  yield `],"usage":${JSON.stringify(usage)}}`;
}

function* choiceJson(choice: Choice): Generator<string, void> {
  const { text, index, logprobs, prompt_logprobs: scores, ...end } = choice;
  if (Math.max(logprobs?.tokens.length ?? 0, scores?.length ?? 0) <= TOKENS_A_PIECE) {
    yield JSON.stringify(choice);
    return;
  }
  yield `${openJson({ text, index })}"logprobs":`;
  if (logprobs) yield* listsJson({ ...logprobs });
  else yield 'null';
  if (scores) {
    yield ',"prompt_logprobs":';
    yield* listJson(scores);
  }
  yield `,${JSON.stringify(end).slice(1)}`;
}

function* chatChoiceJson({ index, message, logprobs, ...end }: ChatChoice): Generator<string, void> {
  yield `${openJson({ index, message })}"logprobs":`;
  if (logprobs === null) yield 'null';
  else {
    yield '{"content":';
    yield* listJson(logprobs.content);
    yield ',"refusal":null}';
  }
  yield `,${JSON.stringify(end).slice(1)}`;
}

/** An object of lists. */
function* listsJson(lists: Readonly<Record<string, readonly unknown[]>>): Generator<string, void> {
  for (const [i, [name, entries]] of Object.entries(lists).entries()) {
    yield `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`;
    yield* listJson(entries);
  }
  yield '}';
}

function* listJson(entries: readonly unknown[]): Generator<string, void> {
  yield '[';
  for (let at = 0; at < entries.length; at += TOKENS_A_PIECE)
    yield `${comma(at)}${JSON.stringify(entries.slice(at, at + TOKENS_A_PIECE)).slice(1, -1)}`;
  yield ']';
}

/** The beginning of the JSON of an object that has fields behind these. */
export function openJson(fields: object): string {
  return `${JSON.stringify(fields).slice(0, -1)},`;
}

function comma(index: number): string {
  return index === 0 ? '' : ',';
}
