import { describePlace, format } from '../report/text-table.js';
import type { BenchContext, Figure, Probe, Suite } from '../suite.js';
import { type Pair, pairFigures, type Round } from './pair.js';

/**
 * Measures two builds in turns, never at the same time: a step of one, then the same step of the other. Which of them goes first
 * changes from step to step and from round to round. A build that is opened first can be slower until it is closed, so the second
 * half of the rounds measures both anew, opened in the opposite order. Round 0 warms up after each opening, and does not count.
 * @param ours its `options.repeats`, an even number, are the rounds
 * @param onRound receives the pairs so far
 */
export async function measureBeside(
  suite: Suite,
  ours: BenchContext,
  other: BenchContext,
  onRound: (pairs: readonly Pair[]) => Promise<void>,
): Promise<Pair[]> {
  const rounds: Round[] = [];
  const { repeats } = ours.options;
  const builds = [ours, other];
  for (const opened of [builds, builds.toReversed()]) {
    const probes = new Map<BenchContext, Probe>();
    try {
      for (const context of opened) probes.set(context, await open(suite, context));
      const sides = builds.map((context) => ({ context, probe: probes.get(context) as Probe }));
      await measureRound(sides, 0);
      for (let i = 0; i < repeats / 2; i++) {
        const [ourFigures = [], otherFigures = []] = await measureRound(sides, rounds.length + 1);
        rounds.push({ ours: ourFigures, others: otherFigures });
        await onRound(pairFigures(rounds));
      }
    } finally {
      for (const probe of probes.values()) await probe.close();
    }
  }
  return pairFigures(rounds);
}

function open(suite: Suite, context: BenchContext): Promise<Probe> {
  if (suite.open === undefined) throw new Error(`${suite.name} cannot measure another build`);
  return suite.open(context);
}

interface Side {
  readonly context: BenchContext;
  readonly probe: Probe;
}

/** Figures of each side, in the order of the sides. */
async function measureRound(sides: readonly Side[], round: number): Promise<Figure[][]> {
  const figures = new Map(sides.map((side) => [side, [] as Figure[]]));
  for (const step of sides[0]?.probe.steps.keys() ?? []) {
    for (const side of (round + step) % 2 === 0 ? sides : sides.toReversed()) {
      const measured = (await side.probe.steps[step]?.(round)) ?? [];
      side.context.log(
        `${round === 0 ? 'warm-up' : `round ${round}`}  ${side.context.build.name}  ${describe(measured)}`,
      );
      figures.get(side)?.push(...measured);
    }
  }
  return [...figures.values()];
}

function describe(figures: readonly Figure[]): string {
  return figures
    .map((figure) => {
      const place = describePlace(figure);
      return `${figure.what}${place && ` (${place})`} ${format(figure.value)} ${figure.unit}`;
    })
    .join(', ');
}
