import fs from 'node:fs/promises';
import path from 'node:path';

import { isErrno } from '../../disk/durable.js';
import type { Manifest } from '../../model/compile/compiled-model.js';
import { type DataSubject, TuningError } from '../errors.js';
import { DataError } from './data-error.js';
import type { ConversationForm } from './conversation.js';
import type { TrainingExample } from './example.js';
import { parseDart } from './dart.js';
import { parseE2e } from './e2e.js';
import { parseJsonl } from './jsonl.js';
import { parseWebnlg } from './webnlg.js';

export const DATA_FORMATS = ['jsonl', 'e2e', 'webnlg', 'dart'] as const;
export type DataFormat = (typeof DATA_FORMATS)[number];

export interface DataOptions {
  /** Purpose of the examples, for errors. */
  readonly subject: DataSubject;
  /** Unless given, the file's name says it: see `formatOf`. */
  readonly format?: DataFormat | undefined;
  /** Text that stands between source and target in all formats but jsonl, if any: see `separatorOf`. */
  readonly separator: string;
  /** Of a model with a chat template: how it writes conversations; undefined or left out: they are refused. */
  readonly conversation?: ConversationForm | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads examples. Throws `TuningError` naming file, line or entry, and field, and the signal's reason. */
export async function readExamples(file: string, options: DataOptions): Promise<TrainingExample[]> {
  try {
    return await parse(await readText(file), path.basename(file), options);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new TuningError(options.subject, error.problem, { where: error.where, cause: error });
  }
}

async function parse(
  text: string,
  name: string,
  { format, separator, conversation, signal }: DataOptions,
): Promise<TrainingExample[]> {
  switch (format ?? formatOf(name, text)) {
    case 'jsonl':
      return parseJsonl(text, name, { conversation, signal });
    case 'e2e':
      return parseE2e(text, name, separator);
    case 'webnlg':
      return parseWebnlg(text, name, separator);
    case 'dart':
      return parseDart(text, name, separator);
  }
}

/** The text without a byte order mark. */
async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await fs.readFile(file));
  } catch (error) {
    if (isErrno(error, 'ERR_ENCODING_INVALID_ENCODED_DATA')) throw new DataError(path.basename(file), 'not UTF-8');
    throw new DataError(file, (error as Error).message);
  }
}

/** `.jsonl`: jsonl; `.txt`: e2e; `.json`: dart where it is an array, webnlg otherwise. Throws `DataError` for other names. */
function formatOf(name: string, text: string): DataFormat {
  switch (path.extname(name).toLowerCase()) {
    case '.jsonl':
      return 'jsonl';
    case '.txt':
      return 'e2e';
    case '.json':
      return text.trimStart().startsWith('[') ? 'dart' : 'webnlg';
    default:
      throw new DataError(
        name,
        `the name tells no format (.jsonl, .txt, .json); give one of ${DATA_FORMATS.join(', ')}`,
      );
  }
}

/**
 * The text of the model's end token, which GPT-2 begins texts with too: Li and Liang's code has its `bos_token` here. Empty for an
 * encoder-decoder, whose two sides read source and target.
 */
export function separatorOf(
  { eosTokenIds, shape }: Pick<Manifest, 'eosTokenIds'> & Partial<Pick<Manifest, 'shape'>>,
  decode: (ids: readonly number[]) => string,
): string {
  if (shape?.sourceLength !== undefined) return '';
  const [end] = eosTokenIds;
  if (end === undefined) throw new TuningError('model', 'it has no end token to stand between source and target');
  return decode([end]);
}
