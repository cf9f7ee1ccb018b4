import type { Suite } from '../suite.js';
import { coldPrefix } from './cold-prefix.js';
import { decode } from './decode.js';
import { interference } from './interference.js';
import { memory } from './memory.js';
import { precision } from './precision.js';
import { prefixLength } from './prefix-length.js';
import { promptCache } from './prompt-cache.js';
import { roofline } from './roofline.js';
import { rows } from './rows.js';
import { soak } from './soak.js';
import { start } from './start.js';
import { storeSize } from './store-size.js';
import { training } from './training.js';
import { trainingBesideServing } from './training-beside-serving.js';

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = [
  decode,
  roofline,
  rows,
  prefixLength,
  interference,
  coldPrefix,
  promptCache,
  precision,
  memory,
  start,
  storeSize,
  training,
  trainingBesideServing,
  soak,
];
