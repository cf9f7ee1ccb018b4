import type { Static, TObject, TSchema } from 'typebox';
import type { Validator } from 'typebox/compile';

import { isObject } from '../../lib/is-object.js';
import { describeViolation, type SchemaError } from '../../lib/schema/violation.js';
import { CompletionError } from '../errors.js';

/**
 * Makes the check of bodies: a body as the schema's type.
 * @returns throws CompletionError that names the field at fault
 */
export async function makeBodyCheck<S extends TObject>(schema: S): Promise<(body: unknown) => Static<S>> {
  // To load TypeBox's compiler takes a tenth of a second, which no start has to wait for.
  const { Compile } = await import('typebox/compile');
  const validator = Compile(schema as TSchema);
  const fields = new Map<TSchema, (value: unknown) => boolean>();
  const checkOf: FieldChecks = (of) => {
    const known = fields.get(of);
    if (known) return known;
    const field = Compile(of);
    const check = (value: unknown): boolean => field.Check(value);
    fields.set(of, check);
    return check;
  };
  return (body) => {
    if (validator.Check(body)) return body as Static<S>;
    throw toError(validator, schema, shorten(body, schema.properties, checkOf));
  };
}

/** Entries of a wrong object that errors are listed for, and of a wrong array that may have any number. */
const MANY = 1024;

/** The check of a field's values, compiled at its first use. */
type FieldChecks = (schema: TSchema) => (value: unknown) => boolean;

/**
 * A refused body with the same first error, but with little in its fields, and without unknown ones behind the first: TypeBox lists at most
 * eight errors, and takes seconds to look for them among a million entries.
 */
function shorten(body: unknown, known: Readonly<Record<string, TSchema>>, checkOf: FieldChecks): unknown {
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
  const {
    items,
    minItems,
    maxItems = MANY,
    properties = {},
    additionalProperties: rest,
  } = schema as TSchema & SchemaParts;
  if (rest !== undefined && !Array.isArray(value)) {
    const wrong = wrongEntry(value, properties, rest === false ? () => false : checkOf(rest));
    if (wrong) return wrong;
  }
  if (checkOf(schema)(value)) return firstOf(value, minItems);
  if ('anyOf' in schema) return {}; // the union itself is at fault, and none has an object
  if (!Array.isArray(value)) return Object.fromEntries(Object.entries(value).slice(0, MANY));
  return shortenArray(value, maxItems, items ? checkOf(items) : () => true);
}

/** A wrong array with one entry too many, or else with the first wrong entry where it was: the error names its index. */
function shortenArray(entries: readonly unknown[], maxItems: number, isValid: (entry: unknown) => boolean): unknown[] {
  const at = entries.findIndex((entry) => !isValid(entry));
  const end = at < 0 || at > maxItems ? maxItems : at;
  const before = entries.slice(0, end).map((entry) => (isObject(entry) ? firstOf(entry) : entry));
  return [...before, ...entries.slice(end, end + 1)];
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
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly additionalProperties?: TSchema | false;
}

/** Fields of an object that are left in a small one: more than any schema here names. */
const FEW = 64;

/**
 * The same value with the first entry of each array, and the first few of each object.
 * @param minItems entries that stay where it is an array: as many as its schema demands
 */
function firstOf(value: object, minItems = 1): object {
  if (Array.isArray(value))
    return value.slice(0, Math.max(1, minItems)).map((entry: unknown) => (isObject(entry) ? firstOf(entry) : entry));
  const fields = value as Readonly<Record<string, unknown>>;
  const first: Record<string, unknown> = {};
  let count = 0;
  for (const name in fields) {
    if (count++ === FEW) break;
    first[name] = isObject(fields[name]) ? firstOf(fields[name]) : fields[name];
  }
  return first;
}

type RequestValidator = Pick<Validator, 'Errors'>;

function toError(validator: RequestValidator, schema: object, body: unknown): CompletionError {
  const { code, message, param } = describeViolation(toSchemaError(firstError(validator.Errors(body)), schema));
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
  return {
    ...first,
    keyword: 'anyOf',
    schemaPath,
    instancePath: outermost(first.instancePath, depthOf(schemaPath)),
    params: {},
  };
}

/** How deep in a body the values of a schema are. @param path a JSON pointer, as in `#/properties/messages/items` */
function depthOf(path: string): number {
  const keys = path.split('/').slice(1);
  let depth = 0;
  for (let at = 0; at < keys.length; depth++) at += keys[at] === 'properties' ? 2 : 1;
  return depth;
}

/** The first `depth` steps of a JSON pointer. */
function outermost(pointer: string, depth: number): string {
  return pointer
    .split('/')
    .slice(0, depth + 1)
    .join('/');
}

/** TypeBox lists all fields of a fault, Ajv names the first. */
function toSchemaError(
  { keyword, instancePath, params, message, schemaPath }: TypeBoxError,
  schema: object,
): SchemaError {
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
    parentSchema: schemaAt(schema, schemaPath),
  };
}

/** @param path a JSON pointer, as in `#/properties/prompt` */
function schemaAt(schema: object, path: string): object {
  const keys = path.split('/').slice(1);
  return keys.reduce<object>((at, key) => at[key as keyof object], schema);
}
