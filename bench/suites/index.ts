import type { Suite } from '../suite.js';
import { decode } from './decode.js';
import { roofline } from './roofline.js';

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = [decode, roofline];
