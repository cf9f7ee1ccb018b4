import type { Writable } from 'node:stream';

const MiB = 2 ** 20;

/** Prints how far the compilation of a model is, every tenth of the way. */
export function compileProgress(out: Pick<Writable, 'write'>): (written: number, total: number) => void {
  let printed = -1;
  return (written, total) => {
    const tenth = Math.floor((10 * written) / total);
    if (tenth === printed) return;
    printed = tenth;
    out.write(`compiling the model: ${tenth * 10}% of ${Math.ceil(total / MiB)} MiB\n`);
  };
}
