import type { NewJob } from '../api/types.js';

/** Where a prefix's numbers stand in the model. */
export type Method = NonNullable<NonNullable<NewJob['prefix_tuning']>['method']>;

/** The methods with what the paper (Li and Liang 2021) says of each. */
export const METHODS: readonly { readonly method: Method; readonly label: string; readonly advice: string }[] = [
  {
    method: 'prefix',
    label: 'Prefix',
    advice: 'Keys and values in every layer, before the prompt. The paper’s method, and its best.',
  },
  {
    method: 'infix',
    label: 'Infix',
    advice: 'Keys and values before the prompt’s last token. The paper puts it slightly below the prefix.',
  },
  {
    method: 'embedding',
    label: 'Soft prompt',
    advice: 'Input embeddings alone: far fewer numbers. In the paper clearly worse, with a small model most of all.',
  },
];

/** What the paper says of the number of virtual tokens. */
export const LENGTH_ADVICE =
  'The paper’s best: 10 for tables told in text, 200 for summaries. More of them fit the training data better, and other data slightly worse.';

/** What the paper says of where training starts. */
export const INIT_ADVICE =
  'Words that name the task do much better than “random” with few examples (50 to 500), and the same with many.';

/** Numbers to begin with. */
export interface Preset {
  readonly label: string;
  readonly advice: string;
  readonly mlp: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
}

/** Examples that the quick preset shows the model, each as often as it takes. */
const QUICK_EXAMPLES = 1500;

/** What is quick with a few examples and a small model. @param examples in the file */
export function quickPreset(examples: number): Preset {
  return {
    label: 'Quick',
    advice: 'Trains the rows themselves at a high rate. Good for tens of examples and small models.',
    mlp: 0,
    learningRate: 0.01,
    epochs: Math.max(5, Math.min(150, Math.round(QUICK_EXAMPLES / Math.max(1, examples)))),
    batchSize: 5,
  };
}

/** What the paper took for tables. */
export const PAPER_PRESET: Preset = {
  label: 'As in the paper',
  advice:
    'An MLP of width 512 makes the rows in training; rate 5e-5, 10 epochs, batches of 5. For thousands of examples.',
  mlp: 512,
  learningRate: 5e-5,
  epochs: 10,
  batchSize: 5,
};
