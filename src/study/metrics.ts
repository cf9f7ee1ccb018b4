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
  /** Whether texts were generated. */
  readonly scores: boolean;
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
    ...(test && scores
      ? [
          ...tested('BLEU', 2, (of) => of.scores?.bleu, true),
          ...tested('NIST', 3, (of) => of.scores?.nist),
          ...tested('METEOR (exact, stem)', 3, (of) => of.scores?.meteor_exact_stem),
          ...tested('ROUGE-L', 3, (of) => of.scores?.rouge_l),
        ]
      : []),
  ];
}
