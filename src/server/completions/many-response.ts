import type { FastifyRequest } from 'fastify';

import { collectCompletion, streamCompletion, type Send } from '../../completions/answer/response.js';
import type { ManyItem } from '../../completions/many.js';
import { toApiError, type ApiError } from '../errors.js';
import { logError } from '../http/plugins/error-handler.js';
import type { ManyResponse, ManyResult } from './many-schema.js';

/** Reads every item to its end; an item that fails has its error where its answer would be. */
export async function collectMany(items: readonly ManyItem[], request: FastifyRequest): Promise<ManyResponse> {
  return { object: 'list', data: await Promise.all(items.map((item) => collectItem(item, request))) };
}

/** Sends each item's chunks as they come, every one with its `custom_id`; an item that fails ends with its error. */
export async function streamMany(items: readonly ManyItem[], send: Send, request: FastifyRequest): Promise<void> {
  await Promise.all(items.map((item) => streamItem(item, send, request)));
}

async function collectItem({ customId, completion, error }: ManyItem, request: FastifyRequest): Promise<ManyResult> {
  try {
    if (!completion) throw error;
    return toResult(customId, 200, await collectCompletion(completion));
  } catch (thrown) {
    const failure = report(thrown, request);
    return toResult(customId, failure.status, failure.toEnvelope());
  }
}

async function streamItem({ customId, completion, error }: ManyItem, send: Send, request: FastifyRequest) {
  const sendItem: Send = (data) => send({ custom_id: customId, ...data });
  try {
    if (!completion) throw error;
    await streamCompletion(completion, sendItem);
  } catch (thrown) {
    await sendItem(report(thrown, request).toEnvelope());
  }
}

function report(thrown: unknown, request: FastifyRequest): ApiError {
  const error = toApiError(thrown);
  logError(error, request);
  return error;
}

function toResult(customId: string, status: number, body: ManyResult['response']['body']): ManyResult {
  return { custom_id: customId, response: { status_code: status, body }, error: null };
}
