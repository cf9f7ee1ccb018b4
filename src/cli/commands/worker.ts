import type { Command } from 'commander';

import { readSettings } from '../../config/config.js';
import type { Io } from '../io.js';

/** `preamble worker`. */
export function addWorker(program: Command, io: Io): void {
  program
    .command('worker')
    .description('Train fine-tuning jobs from the Redis in PREAMBLE_STORE until SIGTERM, without serving.')
    .action(async () => {
      const config = readSettings(['model', 'store', 'storeTls', 'tenants', 'tuning', 'log']);
      // Loaded here, because the other commands need no native library.
      const { work } = await import('../../app/worker.js');
      await work(config, io);
    });
}
