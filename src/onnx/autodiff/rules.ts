import { ELEMENTWISE_RULES } from './elementwise.js';
import { LAYOUT_RULES } from './layout.js';
import { PRODUCT_RULES } from './products.js';
import { ROW_RULES } from './rows.js';
import type { Rule } from './rule.js';

/** Rules by operator. An operator that is not here cannot be differentiated. */
export const RULES: Readonly<Record<string, Rule | undefined>> = {
  ...PRODUCT_RULES,
  ...ELEMENTWISE_RULES,
  ...ROW_RULES,
  ...LAYOUT_RULES,
};
