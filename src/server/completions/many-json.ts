import { completionJson, openJson } from '../../completions/answer/json.js';
import type { ManyResponse, ManyResult } from './many-schema.js';

/** The JSON of many answers in pieces. */
export function* manyJson({ data, ...head }: ManyResponse): Generator<string, void> {
  yield `${openJson(head)}"data":[`;
  for (const [i, { custom_id, response, error }] of data.entries()) {
    const { status_code, body } = response;
    yield `${i === 0 ? '' : ','}${openJson({ custom_id })}"response":${openJson({ status_code })}"body":`;
    yield* bodyJson(body);
    yield `},"error":${JSON.stringify(error)}}`;
  }
  yield ']}';
}

function* bodyJson(body: ManyResult['response']['body']): Generator<string, void> {
  if ('choices' in body) yield* completionJson(body);
  else yield JSON.stringify(body);
}
