export { allFinite, type Dtype, DTYPE_BYTES, decodeFloats } from './dtype.js';
export { SAFETENSORS_ERROR_CODES, SafetensorsError, type SafetensorsErrorCode } from './errors.js';
export {
  DEFAULT_MAX_HEADER_BYTES,
  parseSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type TensorEntry,
} from './header.js';
export { encodeSafetensors, type FloatTensor } from './writer.js';
