export { type Dtype, DTYPE_BYTES, decodeFloats } from './dtype.js';
export { SafetensorsError, type SafetensorsErrorCode } from './errors.js';
export {
  type HeaderOptions,
  parseSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type TensorEntry,
} from './header.js';
export { encodeSafetensors, type FloatTensor } from './writer.js';
