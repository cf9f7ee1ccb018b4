import { CompletionError, invalidValue } from '../errors.js';
import type { CompletionRequest } from './schema.js';

/** One entry of a blend as a request names it. */
export interface BlendTerm {
  /** As a request's `model`. */
  readonly model: string;
  /** -10 to 10. */
  readonly weight: number;
  /** The field that names the model. */
  readonly param: string;
}

/** The fields of a request that say what it blends. */
type BlendFields = Pick<CompletionRequest, 'model' | 'blend' | 'guidance_scale' | 'use_beam_search'>;

/**
 * Refuses what can be seen to be wrong without knowing the model: nothing to complete with, two ways to say it, and what a blend cannot do.
 * @throws CompletionError that names the field at fault
 */
export function refuseWrongBlend({ model, blend, guidance_scale: scale, use_beam_search: beams }: BlendFields): void {
  const isGuided = (scale ?? undefined) !== undefined;
  if (blend && isGuided) {
    throw invalidValue('guidance_scale', `'guidance_scale' is the short form of a blend: leave it out, or 'blend'.`);
  }
  if ((model ?? undefined) === undefined && !blend) {
    throw new CompletionError('missing_parameter', `'model' is required.`, { param: 'model' });
  }
  if (blend?.every(({ weight }) => weight === 0)) {
    throw invalidValue('blend', `One weight of 'blend' at least must not be 0.`);
  }
  if (!beams || !(blend || isGuided)) return;
  const field = blend ? 'blend' : 'guidance_scale';
  throw invalidValue(field, `With 'use_beam_search', '${field}' must be left out.`);
}

/**
 * The entries of the blend that a request asks for; undefined: it asks for none.
 * @param request one that `refuseWrongBlend` has let pass
 * @param base the base model's id
 * @throws CompletionError for a `model` that the blend has no use for
 */
export function readBlend(
  { model, blend, guidance_scale: scale }: BlendFields,
  base: string,
): readonly BlendTerm[] | undefined {
  if (blend) {
    refuseOtherModel(model ?? undefined, blend, base);
    return blend.map((entry, i) => ({ ...entry, param: `blend[${i}].model` }));
  }
  if ((scale ?? undefined) === undefined || typeof scale !== 'number' || typeof model !== 'string') return undefined;
  if (model === base) {
    throw invalidValue(
      'guidance_scale',
      `'guidance_scale' needs a prefix as 'model': the base model has no other to be led away from.`,
    );
  }
  return [
    { model, weight: scale, param: 'model' },
    { model: base, weight: 1 - scale, param: 'guidance_scale' },
  ];
}

/** A `model` beside a blend must not look as if it counted. */
function refuseOtherModel(model: string | undefined, blend: readonly Pick<BlendTerm, 'model'>[], base: string): void {
  if (model === undefined || model === base || blend.some((entry) => entry.model === model)) return;
  const message = `'model' beside 'blend' must be the model of one of its entries, or the base model, or left out: it counts for nothing.`;
  throw invalidValue('model', message);
}
