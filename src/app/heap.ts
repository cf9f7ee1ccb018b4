import v8 from 'node:v8';

/** Percent of the bytes that were alive after the last full collection of V8's heap. */
const GROWTH_PERCENT = 50;

/**
 * Makes V8 collect its whole heap whenever it has grown by `GROWTH_PERCENT`. By itself V8 may wait for minutes, and the resident memory of
 * a server goes up and down.
 */
export function limitHeapGrowth(): void {
  v8.setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
