/** Why a safetensors file was refused. */
export type SafetensorsErrorCode =
  | 'truncated'
  | 'header_length'
  | 'header_too_large'
  | 'header_not_json'
  | 'duplicate_key'
  | 'bad_name'
  | 'bad_entry'
  | 'unknown_dtype'
  | 'bad_shape'
  | 'bad_offsets'
  | 'offsets_not_contiguous';

/** A file that is not valid safetensors; `code` says which rule it broke. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';

  constructor(
    readonly code: SafetensorsErrorCode,
    message: string,
  ) {
    super(message);
  }
}
