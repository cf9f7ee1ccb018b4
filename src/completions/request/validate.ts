import type { TSchema } from 'typebox';
import type { Validator } from 'typebox/compile';

import { isObject } from '../../lib/is-object.js';
import { describeViolation, type SchemaError } from '../../lib/schema/violation.js';
import { CompletionError, invalidValue } from '../errors.js';
import { CompletionRequest } from './schema.js';

/**
 * A body as a completion request, whose fields are valid each and together.
 * @throws CompletionError that names the field at fault
 */
export type RequestCheck = (body: unknown) => CompletionRequest;

let loading: Promise<RequestCheck> | undefined;

/** The check of requests, made at the first call: to load TypeBox's compiler takes a tenth of a second, which no start has to wait for. */
export function loadRequestCheck(): Promise<RequestCheck> {
  return (loading ??= makeRequestCheck());
}

async function makeRequestCheck(): Promise<RequestCheck> {
  const { Compile } = await import('typebox/compile');
  const validator = Compile(CompletionRequest);
  const fields = new Map<TSchema, (value: unknown) => boolean>();
  const checkOf: FieldChecks = (schema) => {
    const known = fields.get(schema);
    if (known) return known;
    const field = Compile(schema);
    const check = (value: unknown): boolean => field.Check(value);
    fields.set(schema, check);
    return check;
  };
  return (body) => {
    if (!validator.Check(body)) throw toError(validator, shorten(body, checkOf));
    refuseUnsupported(body);
    refuseContradictions(body);
    return body;
  };
}

/** Entries of a wrong value that errors are listed for: one more than the largest array that is no union. */
const MANY = 1025;

/** The check of a field's values, compiled at its first use. */
type FieldChecks = (schema: TSchema) => (value: unknown) => boolean;

const known: Readonly<Record<string, TSchema>> = CompletionRequest.properties;

/**
 * A refused body with the same first error, but with little in its fields, and without unknown ones behind the first: TypeBox lists at most
 * eight errors, and takes seconds to look for them among a million entries.
 */
function shorten(body: unknown, checkOf: FieldChecks): unknown {
  if (!isObject(body)) return body;
  if (Array.isArray(body)) return [];
  const fields = Object.entries(body);
  const unknown = fields.find(([name]) => !Object.hasOwn(known, name));
  const kept = fields.filter((field) => Object.hasOwn(known, field[0]) || field === unknown);
  return Object.fromEntries(
    kept.map((field) => [field[0], field === unknown ? null : shortenValue(known[field[0]], field[1], checkOf)]),
  );
}

/** A small value that is valid if the value is, and otherwise has the same fault. */
function shortenValue(schema: TSchema | undefined, value: unknown, checkOf: FieldChecks): unknown {
  if (!isObject(value) || schema === undefined) return value;
  const { items, properties = {}, additionalProperties: rest } = schema as TSchema & SchemaParts;
  if (rest !== undefined && !Array.isArray(value)) {
    const wrong = wrongEntry(value, properties, rest === false ? () => false : checkOf(rest));
    if (wrong) return wrong;
  }
  if (checkOf(schema)(value)) return firstOf(value);
  if ('anyOf' in schema) return {}; // the union itself is at fault, and none has an object
  if (!Array.isArray(value)) return Object.fromEntries(Object.entries(value).slice(0, MANY));
  const isItemValid = items ? checkOf(items) : () => true;
  const at = value.findIndex((item) => !isItemValid(item));
  return at < 0 ? value.slice(0, MANY) : [value[at]];
}

/** The first entry that is neither known nor valid, alone. Makes no array of all of them, which takes longer than the check. */
function wrongEntry(map: object, known: object, isValid: (entry: unknown) => boolean): object | undefined {
  const entries = map as Readonly<Record<string, unknown>>;
  for (const name in entries) {
    if (!Object.hasOwn(known, name) && !isValid(entries[name])) return { [name]: entries[name] };
  }
  return undefined;
}

/** What the schema of an array or an object says of its entries; that of another type says nothing. */
interface SchemaParts {
  readonly items?: TSchema;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly additionalProperties?: TSchema | false;
}

/** The first entry of an array, of which only the first entry is left too; of an object nothing. */
function firstOf(value: object): object {
  if (!Array.isArray(value)) return {};
  return value.slice(0, 1).map((entry: unknown) => (isObject(entry) ? firstOf(entry) : entry));
}

type RequestValidator = Pick<Validator, 'Errors'>;

function toError(validator: RequestValidator, body: unknown): CompletionError {
  const { code, message, param } = describeViolation(toSchemaError(firstError(validator.Errors(body))));
  return new CompletionError(code, message, { param });
}

type TypeBoxError = ReturnType<RequestValidator['Errors']>[number];

/**
 * The first error, in the schema's order. Of a union's branches it is the union that is at fault, whose own error comes behind theirs
 * and is left out where they are many.
 */
function firstError(errors: readonly TypeBoxError[]): TypeBoxError {
  // TypeBox reports a field that should not be there twice, first as a value of the schema `false`.
  const first = errors.find(({ keyword }) => keyword !== 'boolean');
  if (!first) throw new Error('the validator refuses a body without an error');
  const [schemaPath = '', branch] = first.schemaPath.split('/anyOf/');
  if (branch === undefined) return first;
  const instancePath = schemaPath.replace('#', '').replaceAll('/properties/', '/');
  return { ...first, keyword: 'anyOf', schemaPath, instancePath, params: {} };
}

/** TypeBox lists all fields of a fault, Ajv names the first. */
function toSchemaError({ keyword, instancePath, params, message, schemaPath }: TypeBoxError): SchemaError {
  const { requiredProperties, additionalProperties } = params as Record<string, unknown[] | undefined>;
  return {
    keyword,
    instancePath,
    params: {
      ...params,
      missingProperty: requiredProperties?.[0],
      additionalProperty: additionalProperties?.[0],
    },
    message: message.replace('must not', 'must NOT'),
    parentSchema: schemaAt(schemaPath),
  };
}

/** @param path a JSON pointer, as in `#/properties/prompt` */
function schemaAt(path: string): object {
  const keys = path.split('/').slice(1);
  return keys.reduce<object>((schema, key) => schema[key as keyof object], CompletionRequest);
}

function refuseUnsupported({ suffix, stream_options: options, priority }: CompletionRequest): void {
  const refuse = (param: string, advice = 'leave it out'): never => {
    throw new CompletionError('unsupported_parameter', `'${param}' is not supported; ${advice}.`, { param });
  };
  if ((suffix ?? undefined) !== undefined) refuse('suffix');
  if (options?.include_obfuscation) refuse('stream_options.include_obfuscation');
  if ((priority ?? 0) !== 0) refuse('priority', 'requests wait by tenant, not by priority: send 0 or leave it out');
}

function refuseContradictions(body: CompletionRequest): void {
  if (body.use_beam_search) refuseBesideBeams(body);
  else refuseWithoutBeams(body);
  refuseBestOf(body);
  refuseBesideStream(body);
  refuseTwoLimits(body);
}

function refuseBesideStream({ stream, stream_options: options, prompt_logprobs: scores }: CompletionRequest): void {
  if (options && !stream) throw invalidValue('stream_options', `'stream_options' needs 'stream' to be true.`);
  if (options?.continuous_usage_stats && !options.include_usage) {
    const field = 'stream_options.continuous_usage_stats';
    throw invalidValue(field, `'${field}' needs 'stream_options.include_usage' to be true.`);
  }
  if (stream && (scores ?? undefined) !== undefined)
    throw invalidValue('prompt_logprobs', `'prompt_logprobs' cannot be streamed: leave it out, or 'stream'.`);
}

function refuseTwoLimits({ max_tokens: limit, max_completion_tokens: other }: CompletionRequest): void {
  if (typeof limit !== 'number' || typeof other !== 'number' || limit === other) return; // null is not given
  const message = `'max_completion_tokens' is another name of 'max_tokens', and they differ: send one of them.`;
  throw invalidValue('max_completion_tokens', message);
}

/** Which choices are best is known when all are whole, so there is nothing to stream. */
function refuseBestOf({ n, best_of: bestOf, stream }: CompletionRequest): void {
  const choices = n ?? 1;
  if ((bestOf ?? choices) < choices)
    throw invalidValue('best_of', `'best_of' must be at least 'n', which is ${choices}.`);
  if (stream && (bestOf ?? choices) > choices) throw invalidValue('best_of', `'best_of' above 'n' cannot be streamed.`);
}

/** Fields that a beam search cannot honour, and the values at which they ask for nothing. */
const neutral: Partial<Record<keyof CompletionRequest, readonly (number | boolean)[]>> = {
  stream: [false],
  temperature: [0],
  top_p: [1],
  top_k: [0, -1],
  min_p: [0],
  presence_penalty: [0],
  frequency_penalty: [0],
  repetition_penalty: [1],
  seed: [],
};

function refuseWithoutBeams({ length_penalty: penalty, early_stopping: early }: CompletionRequest): void {
  const refuse = (field: string): never => {
    throw invalidValue(field, `'${field}' needs 'use_beam_search' to be true.`);
  };
  if ((penalty ?? 1) !== 1) refuse('length_penalty');
  if (early ?? false) refuse('early_stopping');
}

function refuseBesideBeams(body: CompletionRequest): void {
  const refuse = (field: string, allowed: string): never => {
    throw invalidValue(field, `With 'use_beam_search', '${field}' must be ${allowed}.`);
  };
  for (const [field, values] of Object.entries(neutral)) {
    const value = body[field as keyof CompletionRequest] ?? values[0];
    if (value === undefined || values.some((one) => one === value)) continue;
    refuse(field, values.length > 0 ? `${String(values[0])} or left out` : 'left out');
  }
  if ([body.stop ?? []].flat().length > 0) refuse('stop', 'left out');
  if (Object.keys(body.logit_bias ?? {}).length > 0) refuse('logit_bias', 'left out');
  for (const field of ['max_tokens', 'max_completion_tokens'] as const)
    if (body[field] === 0) refuse(field, 'at least 1');
}
