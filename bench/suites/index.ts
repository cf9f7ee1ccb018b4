import type { Suite } from '../suite.js';
import { batches } from './server/batches.js';
import { coldPrefix } from './server/cold-prefix.js';
  consolePage,
