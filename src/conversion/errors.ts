/** A file of another program that is not converted. The message begins with the file or the field at fault. */
export class ConversionError extends Error {
  override readonly name = 'ConversionError';
}

/** An untrusted text, number or boolean, short enough for a message, and escaped. */
export function shown(value: unknown): string {
  return JSON.stringify(typeof value === 'string' && value.length > 120 ? `${value.slice(0, 120)}...` : value);
}
