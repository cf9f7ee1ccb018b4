import { int8Form } from '../../src/config/processor.js';
import type { Int8Form } from '../../src/model/precision.js';

/** Forms of 8-bit weights that this processor computes right: signed ones need instructions that not all have. */
export const INT8_FORMS: readonly Int8Form[] =
  int8Form() === 'signed' ? ['blocks', 'unsigned', 'signed'] : ['blocks', 'unsigned'];
