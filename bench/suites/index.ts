import type { Suite } from '../suite.js';
import { batches } from './server/batches.js';
import { coldPrefix } from './server/cold-prefix.js';
import { consolePage } from './server/console.js';
import { decode, decodeLlama } from './server/decode.js';
import { drafts } from './engine/drafts.js';
import { interference } from './server/interference.js';
import { memory } from './server/memory.js';
import { precision } from './engine/precision.js';
import { prefixLength } from './engine/prefix-length.js';
import { promptCache } from './engine/prompt-cache.js';
import { roofline } from './engine/roofline.js';
import { rows } from './engine/rows.js';
import { soak } from './server/soak.js';
import { summaries } from './server/summaries.js';
import { stalls } from './server/stalls.js';
import { spans } from './engine/spans.js';
import { start } from './server/start.js';
import { storeSize } from './server/store-size.js';
import { training, trainingLlama } from './training/training.js';
import { trainingSummaries } from './training/training-summaries.js';
import { trainingBesideServing } from './training/training-beside-serving.js';

/** Every suite, in the order in which they run. */
export const suites: readonly Suite[] = [
  decode,
  decodeLlama,
  summaries,
  roofline,
  rows,
  spans,
  drafts,
  prefixLength,
  interference,
  stalls,
  batches,
  consolePage,
  coldPrefix,
  promptCache,
  precision,
  memory,
  start,
  storeSize,
  training,
  trainingLlama,
  trainingSummaries,
  trainingBesideServing,
  soak,
];
