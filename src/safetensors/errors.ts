/** Reasons to refuse a safetensors file, in the order in which they are checked. */
export const SAFETENSORS_ERROR_CODES = [
  /** Shorter than the 8 bytes of the length field. */
  'truncated',
  'header_empty',
  'header_past_end',
  'header_too_large',
  'header_not_utf8',
  'header_not_json',
  'header_not_object',
  'duplicate_key',
  'bad_metadata',
  'bad_name',
  /** A tensor whose fields are not exactly dtype, shape and data_offsets. */
  'bad_entry',
  'unknown_dtype',
  'bad_shape',
  'shape_overflow',
  'bad_offsets',
  /** A byte range that is not shape times element size. */
  'size_mismatch',
  'overlap',
  'gap',
  'data_past_end',
  'trailing_bytes',
] as const;

/** A reason to refuse a safetensors file. */
export type SafetensorsErrorCode = (typeof SAFETENSORS_ERROR_CODES)[number];

/** A file that is not valid safetensors; `code` names the rule that it breaks. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';

  constructor(
    readonly code: SafetensorsErrorCode,
    message: string,
  ) {
    super(message);
  }
}
