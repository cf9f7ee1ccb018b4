import type { LogitAdjustments, SamplingParams } from '../../engine/request.js';
import { ApiError } from '../errors.js';
import type { CompletionParams } from './params.js';

/** How the engine chooses tokens. Where nothing changes the logits there are no adjustments, which spares it a pass over them. */
export function toSamplingParams(params: CompletionParams, vocabularySize: number): SamplingParams {
  const { temperature, topP, topK, minP, seed } = params;
  const adjustments = toAdjustments(params, vocabularySize);
  return { temperature, topP, topK, minP, seed, ...(adjustments && { adjustments }) };
}

function toAdjustments(params: CompletionParams, vocabularySize: number): LogitAdjustments | undefined {
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = params;
  const bias = readLogitBias(params.logitBias, vocabularySize);
  const isNeutral = bias.size === 0 && repetitionPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0;
  return isNeutral ? undefined : { bias, repetitionPenalty, frequencyPenalty, presencePenalty };
}

function readLogitBias(logitBias: CompletionParams['logitBias'], vocabularySize: number): Map<number, number> {
  return new Map(Object.entries(logitBias).map(([key, value]) => [readTokenId(key, vocabularySize), value]));
}

/** A JSON key is text: only an id as a number is written may name a token. */
function readTokenId(key: string, vocabularySize: number): number {
  const id = Number(key);
  if (String(id) === key && Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
  throw new ApiError('invalid_value', `Keys of 'logit_bias' are token ids, 0 to ${vocabularySize - 1}.`, {
    param: 'logit_bias',
  });
}
