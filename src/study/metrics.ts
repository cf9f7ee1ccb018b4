import { defaultScores, SCORE_LABELS, type ScoreName } from '../evaluation/scores/names.js';
import type { ModelShape } from '../prefix/kv.js';
import type { Measured, Tested } from './run.js';
import type { TrainedRun } from './summary.js';

/** A number of a run that tables and plots can show. */
export interface Metric {
  readonly label: string;
  readonly digits: number;
  /** Whether figures show the metric. */
  readonly plotted: boolean;
  readonly of: (run: TrainedRun, tested: Tested | undefined) => number | undefined;
}

/** The kinds of data and measurement that a study has. */
export interface StudyParts {
  readonly valid: boolean;
  readonly test: boolean;
  /** Whether the test data has examples of categories that were trained on. */
  readonly seen: boolean;
  /** Whether the test data has examples of categories that were not trained on. */
  readonly unseen: boolean;
  /** Scores of generated texts to show; the first is plotted. */
  readonly scores: readonly ScoreName[];
}

/**
 * The metrics of a study. Where there are unseen categories, test metrics are shown for seen, unseen and all
 * categories.
 */
export function metricsOf({ valid, test, seen, unseen, scores }: StudyParts): Metric[] {
  const measured = (['seen', 'unseen', 'all'] as const).filter((part) => part !== 'seen' || seen);
  const parts = unseen ? measured : (['all'] as const);
  const tested = (
    label: string,
    digits: number,
    of: (measured: Measured) => number | undefined,
    plotted = false,
  ): Metric[] =>
    parts.map((part) => ({
      label: unseen ? `${label}, ${part}` : label,
      digits,
      plotted: plotted && part === 'all',
      of: (_, result) => result?.[part] && of(result[part]),
    }));
  const validLoss: Metric = {
    label: 'validation loss',
    digits: 4,
    plotted: !test,
    of: ({ trained }) => trained.valid_loss ?? undefined,
  };
  return [
    ...(valid ? [validLoss] : []),
    ...(test ? tested('test loss', 4, ({ loss }) => loss, true) : []),
    ...(test ? scores : []).flatMap((name, index) =>
      tested(SCORE_LABELS[name], name === 'bleu' ? 2 : 3, (of) => of.scores?.[name], index === 0),
    ),
  ];
}

/** The scores that a study shows if its spec does not say. */
export function shownScores(base: Pick<ModelShape, 'sourceLength'>): readonly ScoreName[] {
  return base.sourceLength === undefined ? ['bleu', 'nist', 'meteor_exact_stem', 'rouge_l'] : defaultScores(base);
}
