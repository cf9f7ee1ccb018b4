import type { Choice, CompletionResponse, Logprobs } from '../../completions/answer/schema.js';
import type { ManyResponse, ManyResult } from './many-schema.js';

/** Tokens of a choice whose log-probabilities are written in one piece: with 20 for each, some 40 KB. */
const TOKENS_A_PIECE = 64;

/**
 * The JSON of an answer in pieces: one for each choice, and several for the log-probabilities of many tokens. All together they are
 * megabytes.
 */
export function* completionJson({ choices, usage, ...head }: CompletionResponse): Generator<string, void> {
  yield `${open(head)}"choices":[`;
  for (const [i, choice] of choices.entries()) {
    yield comma(i);
    yield* choiceJson(choice);
  }
  yield `],"usage":${JSON.stringify(usage)}}`;
}

/** The JSON of many answers in pieces. */
export function* manyJson({ data, ...head }: ManyResponse): Generator<string, void> {
  yield `${open(head)}"data":[`;
  for (const [i, { custom_id, response, error }] of data.entries()) {
    const { status_code, body } = response;
    yield `${comma(i)}${open({ custom_id })}"response":${open({ status_code })}"body":`;
    yield* bodyJson(body);
    yield `},"error":${JSON.stringify(error)}}`;
  }
  yield ']}';
}

function* bodyJson(body: ManyResult['response']['body']): Generator<string, void> {
  if ('choices' in body) yield* completionJson(body);
  else yield JSON.stringify(body);
}

function* choiceJson(choice: Choice): Generator<string, void> {
  const { logprobs } = choice;
  if (logprobs === null || logprobs.tokens.length <= TOKENS_A_PIECE) {
    yield JSON.stringify(choice);
    return;
  }
  const { text, index, logprobs: _, ...end } = choice;
  yield `${open({ text, index })}"logprobs":{`;
  yield* logprobsJson(logprobs);
  yield `},${JSON.stringify(end).slice(1)}`;
}

/** The fields of log-probabilities, without braces. */
function* logprobsJson(logprobs: Logprobs): Generator<string, void> {
  for (const [i, [name, entries]] of Object.entries<readonly unknown[]>(logprobs).entries()) {
    yield `${comma(i)}${JSON.stringify(name)}:[`;
    for (let at = 0; at < entries.length; at += TOKENS_A_PIECE)
      yield `${comma(at)}${JSON.stringify(entries.slice(at, at + TOKENS_A_PIECE)).slice(1, -1)}`;
    yield ']';
  }
}

/** The beginning of an object that has fields behind these. */
function open(fields: object): string {
  return `${JSON.stringify(fields).slice(0, -1)},`;
}

function comma(index: number): string {
  return index === 0 ? '' : ',';
}
