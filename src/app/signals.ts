/** Settles at SIGTERM or SIGINT. A second one ends the process at once. */
export async function firstSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    const onSignal = (): void => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        process.off(signal, onSignal).once(signal, () => process.exit(1));
      }
      resolve();
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  });
}
