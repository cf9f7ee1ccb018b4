import { isObject } from '../lib/is-object.js';
import { ConversionError, shown } from './errors.js';

/** An untrusted JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** Parses a file's JSON object. Throws ConversionError. */
export function parseFields(bytes: Uint8Array): Fields {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isObject(value) && !Array.isArray(value)) return value as Fields;
  } catch {
    // Refused below like JSON that is no object.
  }
  throw new ConversionError('not a JSON object in UTF-8');
}

/** A field that is an object. Throws ConversionError, naming it. */
export function fieldsOf(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (isObject(value) && !Array.isArray(value)) return value as Fields;
  throw new ConversionError(`${name}: must be an object`);
}

/** A text, or undefined for one that is missing, empty or no text. */
export function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Throws ConversionError, naming the field, unless its value is one of the accepted or it is missing or null. */
export function refuseValue(fields: Fields, name: string, accepted: readonly (string | boolean | number)[]): void {
  const value = fields[name];
  if (value === undefined || value === null || accepted.includes(value as string)) return;
  const found = isObject(value) ? 'an object or a list' : shown(value);
  throw new ConversionError(
    `${name}: ${found}; accepted is ${accepted.map((one) => JSON.stringify(one)).join(' or ')}`,
  );
}

/** Throws ConversionError, naming the field, unless it is the number that the tensors have, or missing or null. */
export function checkNumber(fields: Fields, name: string, found: number): void {
  const value = fields[name];
  if (value === undefined || value === null || value === found) return;
  throw new ConversionError(`${name}: ${JSON.stringify(value)}; the tensors have ${found}`);
}
