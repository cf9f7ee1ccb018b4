import { run } from './cli/program.js';

// What `npm start` runs: the same as `preamble serve`.
process.exitCode = await run(['serve'], process);
