/** One of several programs that are measured against each other. */
export interface Contender {
  readonly name: string;
  /** Generates with `rows` rows at once. */
  measure(rows: number): Promise<Measurement>;
  close(): Promise<void>;
}

export interface Measurement {
  /** Tokens per second while all rows decode. */
  readonly decode: number;
  /** 99th percentile of the event loop's delay in milliseconds, for a contender with an event loop of its own. */
  readonly eventLoopDelay?: number;
}

/** Numbers of tokens of the two measurements of `rateOfLengths`. */
export interface Lengths {
  /** So many that all rows decode together before the first of them ends. */
  readonly short: number;
  readonly long: number;
}

/**
 * Tokens per second of `rows` rows that tell nothing before they end: the time of more tokens less that of fewer, so that what comes before does not
 * count.
 * @param time milliseconds until all rows have `length` tokens
 */
export async function rateOfLengths(
  rows: number,
  { short, long }: Lengths,
  time: (length: number) => Promise<number>,
): Promise<number> {
  const before = await time(short);
  return (1000 * rows * (long - short)) / ((await time(long)) - before);
}

/** Measurement of a server process. */
export interface ServerMeasurement extends Measurement {
  readonly eventLoopDelay: number;
  /** Milliseconds to the first token, median of the rows. */
  readonly firstToken: number;
  /** CPU milliseconds of the process, all threads, for each generated token, prompts included. */
  readonly cpuPerToken: number;
}

/** Contender with the numbers of rows at which it is measured. */
export interface Entry {
  readonly contender: Contender;
  readonly rows: readonly number[];
}

/** Measurements by contender and rows, one for each round. */
export class Rounds {
  readonly #measurements = new Map<string, Measurement[]>();

  add(contender: string, rows: number, measurement: Measurement): void {
    const key = `${contender} ${rows}`;
    this.#measurements.set(key, [...(this.#measurements.get(key) ?? []), measurement]);
  }

  /** Measurements of a contender; empty if it was not measured at this number of rows. */
  of(contender: string, rows: number): readonly Measurement[] {
    return this.#measurements.get(`${contender} ${rows}`) ?? [];
  }
}

/**
 * Measures every contender at every number of rows in each round, so that a slow minute of the machine slows all of them; the order
 * changes from round to round. Round 0 warms up and does not count.
 */
export async function measureRounds(
  entries: readonly Entry[],
  options: { readonly rows: readonly number[]; readonly repeats: number },
  told: { log(line: string): void; onRound(rounds: Rounds): Promise<void> },
): Promise<Rounds> {
  const rounds = new Rounds();
  for (let round = 0; round <= options.repeats; round++) {
    for (const rows of options.rows) {
      const here = entries.filter((entry) => entry.rows.includes(rows));
      for (const { contender } of round % 2 === 0 ? here : here.reverse()) {
        const measurement = await contender.measure(rows);
        const name = round === 0 ? 'warm-up' : `round ${round}`;
        told.log(`${name}  ${rows} rows  ${contender.name}  ${measurement.decode.toFixed(1)} tok/s`);
        if (round > 0) rounds.add(contender.name, rows, measurement);
      }
    }
    if (round > 0) await told.onRound(rounds);
  }
  return rounds;
}
