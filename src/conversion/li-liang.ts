import { CROSS, DECODER, ENCODER } from '../prefix/kv.js';
import { ConversionError, shown } from './errors.js';
import { checkNumber, type Fields, refuseValue, textOf } from './fields.js';
import { foldMlp, type SiteRows } from './reparametrization.js';
import type { SourcePrefix } from './source-prefix.js';
import type { SourceTensors } from './tensors.js';

/** Names of each site's embeddings and MLP. */
const STACKS = {
  [ENCODER]: ['wte_enc', 'control_trans_enc'],
  [DECODER]: ['wte', 'control_trans'],
  [CROSS]: ['wte2', 'control_trans2'],
} as const;

/** Whether a file with such tensors is a checkpoint of the authors' code. */
export function isLiLiang(tensors: SourceTensors): boolean {
  return tensors.has('wte.weight') && tensors.has('control_trans.0.weight');
}

/**
 * A checkpoint of Li and Liang's own code for BART. It has a prefix at each of the three sites, from MLPs of two or three linear layers.
 * @param config the checkpoint's `config.json`, or no fields if it is missing
 * @throws ConversionError for a checkpoint of their code for GPT-2, and for an infix
 */
export function readLiLiang(tensors: SourceTensors, config: Fields): SourcePrefix {
  refuseValue(config, 'use_infix', [false]);
  const stacks = Object.values(STACKS);
  const parameter = new RegExp(
    `^(?:(?:${stacks.map(([wte]) => wte).join('|')})\\.weight|(?:${stacks.map(([, mlp]) => mlp).join('|')})\\.[024]\\.(?:weight|bias))$`,
  );
  const other = [...tensors.keys()].find((name) => !parameter.test(name));
  if (other !== undefined) throw new ConversionError(`the tensor ${shown(other)} is not one of a prefix for BART`);
  if (!tensors.has('wte_enc.weight') && !tensors.has('wte2.weight')) {
    throw new ConversionError(
      'wte_enc.weight: missing, and so is wte2.weight; a checkpoint of the code for GPT-2 is not converted',
    );
  }
  const sites = new Map<string, SiteRows>();
  for (const [site, [embeddings, mlp]] of Object.entries(STACKS)) {
    const rows = foldMlp(tensors, embeddings, mlp);
    checkNumber(config, 'preseqlen', rows.length);
    checkNumber(config, 'd_model', rows.width);
    checkNumber(config, 'decoder_layers', rows.rows.length / rows.length / (2 * rows.width));
    sites.set(site, rows);
  }
  return { sites, base: textOf(config, '_name_or_path') };
}
