import { describePlace, format } from '../report/text-table.js';
import type { BenchContext, Figure, Probe, Suite } from '../suite.js';
import { type Pair, pairFigures, type Round } from './pair.js';

/**
 * Measures two builds in turns, never at the same time: a step of one, then the same step of the other. Which of them goes first
 * changes from step to step and from round to round. Round 0 warms up and does not count.
 * @param onRound receives the pairs so far
 */
export async function measureBeside(
  suite: Suite,
  ours: BenchContext,
  other: BenchContext,
  onRound: (pairs: readonly Pair[]) => Promise<void>,
): Promise<Pair[]> {
  const sides: Side[] = [];
  const rounds: Round[] = [];
  try {
    for (const context of [ours, other]) sides.push({ context, probe: await open(suite, context) });
    for (let round = 0; round <= ours.options.repeats; round++) {
      const [ourFigures = [], otherFigures = []] = await measureRound(sides, round);
      if (round === 0) continue;
      rounds.push({ ours: ourFigures, others: otherFigures });
      await onRound(pairFigures(rounds));
    }
    return pairFigures(rounds);
  } finally {
    for (const { probe } of sides) await probe.close();
  }
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
