import type { CompletionRequest } from '../api/types.js';

/** The parameters of a request that the playground shows, by their names in the API. */
type ParameterName = Extract<
  keyof CompletionRequest,
  | 'max_tokens'
  | 'temperature'
  | 'top_p'
  | 'top_k'
  | 'min_p'
  | 'repetition_penalty'
  | 'presence_penalty'
  | 'frequency_penalty'
  | 'seed'
>;

/** Parameters that are set; the others are left to the server. */
export type Parameters = Readonly<Partial<Record<ParameterName, number>>>;

/** A parameter as a form shows it. */
export interface Parameter {
  readonly name: ParameterName;
  readonly label: string;
  /** What it does, in a line. */
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** What the server takes where it is left out. */
  readonly fallback: string;
}

const largest = Number.MAX_SAFE_INTEGER;

/** The parameters, those that matter most first. */
export const PARAMETERS: readonly Parameter[] = [
  {
    name: 'max_tokens',
    label: 'Longest answer',
    hint: 'Tokens after which an answer is cut.',
    min: 0,
    max: largest,
    step: 1,
    fallback: '16',
  },
  {
    name: 'temperature',
    label: 'Temperature',
    hint: '0 always takes the likeliest token; higher is more varied.',
    min: 0,
    max: 2,
    step: 0.1,
    fallback: '1',
  },
  {
    name: 'top_p',
    label: 'Top p',
    hint: 'Draws from the likeliest tokens that together have this probability.',
    min: 0,
    max: 1,
    step: 0.05,
    fallback: '1',
  },
  {
    name: 'top_k',
    label: 'Top k',
    hint: 'Draws from so many of the likeliest tokens; 0 is off.',
    min: -1,
    max: largest,
    step: 1,
    fallback: 'off',
  },
  {
    name: 'min_p',
    label: 'Min p',
    hint: 'Leaves out tokens below this part of the likeliest one’s probability.',
    min: 0,
    max: 1,
    step: 0.05,
    fallback: 'off',
  },
  {
    name: 'seed',
    label: 'Seed',
    hint: 'The same request with the same seed gives the same tokens.',
    min: -largest,
    max: largest,
    step: 1,
    fallback: 'a new one',
  },
  {
    name: 'repetition_penalty',
    label: 'Repetition penalty',
    hint: 'Above 1, tokens of prompt and answer become less likely.',
    min: 0.01,
    max: largest,
    step: 0.05,
    fallback: '1',
  },
  {
    name: 'presence_penalty',
    label: 'Presence penalty',
    hint: 'Lowers tokens that the answer has already.',
    min: -2,
    max: 2,
    step: 0.1,
    fallback: '0',
  },
  {
    name: 'frequency_penalty',
    label: 'Frequency penalty',
    hint: 'Lowers tokens by how often the answer has them.',
    min: -2,
    max: 2,
    step: 0.1,
    fallback: '0',
  },
];
