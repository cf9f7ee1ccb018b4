import { run } from '../../src/cli/program.js';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export async function preamble(...args: string[]): Promise<Outcome> {
  const written = { out: '', err: '' };
  const into = (stream: 'out' | 'err') => ({
    write: (text: string) => {
      written[stream] += text;
      return true;
    },
  });
  const status = await run(args, { stdout: into('out'), stderr: into('err') });
  return { status, ...written };
}
