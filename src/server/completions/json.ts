import type { CompletionResponse } from '../../completions/answer/schema.js';
import type { ManyResponse, ManyResult } from './many-schema.js';

/** The JSON of an answer in pieces, one for each choice: with log-probabilities, all together are megabytes. */
export function* completionJson({ choices, usage, ...head }: CompletionResponse): Generator<string, void> {
  yield `${open(head)}"choices":[`;
  for (const [i, choice] of choices.entries()) yield `${comma(i)}${JSON.stringify(choice)}`;
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

/** The beginning of an object that has fields behind these. */
function open(fields: object): string {
  return `${JSON.stringify(fields).slice(0, -1)},`;
}

function comma(index: number): string {
  return index === 0 ? '' : ',';
}
