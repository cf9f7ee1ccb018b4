/** Lets this process outlive its outputs: where a line cannot be written, because the disk of a log is full, it is lost. */
export function outliveOutputs(): void {
  for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
}
