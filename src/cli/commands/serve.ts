import type { Command } from 'commander';

import { readConfig } from '../../config/config.js';
import type { Io } from '../io.js';

/** `preamble serve`. */
export function addServe(program: Command, io: Io): void {
  program
    .command('serve')
    .description('Serve a model until SIGTERM. Settings come from the environment: HOST, PORT, PREAMBLE_*.')
    .action(async () => {
      const config = readConfig();
      // Loaded here, because the other commands need neither the engine nor its native library.
      const { serve } = await import('../../app/serve.js');
      await serve(config, io);
    });
}
