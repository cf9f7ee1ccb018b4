import type { BartConfig } from '../../src/model/bart/config.js';
import type { PrefixKv } from '../../src/prefix/kv.js';

/** A row of numbers for each token. */
type Rows = readonly (readonly number[])[];
type Side = 'encoder' | 'decoder';

const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  relu: (x) => Math.max(0, x),
  gelu_erf: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
};

/** BART in plain float64 arithmetic: everything at once, nothing kept. */
export class BartReference {
  constructor(
    private readonly config: BartConfig,
    private readonly weights: ReadonlyMap<string, Float32Array>,
  ) {}

  /** Keys (even) and values (odd) of each decoder layer's cross-attention, `[virtual tokens + tokens, width]`. */
  crossKeyValues(source: readonly number[], prefix?: PrefixKv): Rows[] {
    const encoded = this.#encode(source, prefix);
    return Array.from({ length: 2 * this.config.decoder.layers }, (_, block) => {
      const attention = `decoder.layers.${block >> 1}.encoder_attn`;
      const rows = this.#linear(encoded, `${attention}.${block % 2 === 0 ? 'k' : 'v'}_proj`);
      return [...this.#virtual(prefix, 'cross', block), ...rows];
    });
  }

  /** Logits behind each token of a target, `[tokens, vocabulary]`. */
  logits(source: readonly number[], target: readonly number[], prefix?: PrefixKv): Rows {
    const crossed = this.crossKeyValues(source, prefix);
    let x = this.#embed('decoder', this.#tokens(target), prefix?.shift);
    for (let layer = 0; layer < this.config.decoder.layers; layer++) {
      x = this.#selfAttention('decoder', layer, x, prefix);
      const cross = `decoder.layers.${layer}.encoder_attn`;
      const [keys, values] = crossed.slice(2 * layer) as [Rows, Rows];
      const attended = attend(this.#linear(x, `${cross}.q_proj`), keys, values, this.config.decoder.heads);
      x = this.#norm(sum(this.#linear(attended, `${cross}.out_proj`), x), `${cross}_layer_norm`);
      x = this.#mlp('decoder', layer, x);
    }
    const head = this.config.ownHead ? 'lm_head.weight' : 'shared.weight';
    const bias = this.#weight('final_logits_bias');
    return x.map((row) => Array.from(bias, (b, id) => b + dot(row, this.#row(head, id))));
  }

  #encode(source: readonly number[], prefix?: PrefixKv): Rows {
    const inputs = split(prefix?.sourceEmbeddings ?? new Float32Array(), this.config.width);
    let x = this.#embed('encoder', [...inputs, ...this.#tokens(source)]);
    for (let layer = 0; layer < this.config.encoder.layers; layer++) {
      x = this.#mlp('encoder', layer, this.#selfAttention('encoder', layer, x, prefix));
    }
    return x;
  }

  #tokens(ids: readonly number[]): number[][] {
    const scale = this.config.scaleEmbedding ? Math.sqrt(this.config.width) : 1;
    return ids.map((id) => this.#row('shared.weight', id).map((x) => x * scale));
  }

  #embed(side: Side, inputs: Rows, firstPosition = 0): Rows {
    const table = `${side}.embed_positions.weight`;
    const rows = inputs.map((row, at) => add(row, this.#row(table, firstPosition + at + 2)));
    return this.#norm(rows, `${side}.layernorm_embedding`);
  }

  /** Self-attention behind virtual tokens: a decoder's token sees only those before it. */
  #selfAttention(side: Side, layer: number, x: Rows, prefix: PrefixKv | undefined): Rows {
    const name = `${side}.layers.${layer}.self_attn`;
    const virtual = [0, 1].map((which) => this.#virtual(prefix, side, 2 * layer + which)) as [Rows, Rows];
    const keys = [...virtual[0], ...this.#linear(x, `${name}.k_proj`)];
    const values = [...virtual[1], ...this.#linear(x, `${name}.v_proj`)];
    const { heads } = this.config[side];
    const attended = this.#linear(x, `${name}.q_proj`).flatMap((query, at) => {
      const seen = side === 'encoder' ? keys.length : virtual[0].length + at + 1;
      return attend([query], keys.slice(0, seen), values.slice(0, seen), heads);
    });
    return this.#norm(sum(this.#linear(attended, `${name}.out_proj`), x), `${name}_layer_norm`);
  }

  #mlp(side: Side, layer: number, x: Rows): Rows {
    const name = `${side}.layers.${layer}`;
    const inner = this.#linear(x, `${name}.fc1`).map((row) => row.map(ACTIVATIONS[this.config.activation] ?? unknown));
    return this.#norm(sum(this.#linear(inner, `${name}.fc2`), x), `${name}.final_layer_norm`);
  }

  /** A column block of a prefix at a site. */
  #virtual(prefix: PrefixKv | undefined, site: Side | 'cross', block: number): Rows {
    const { width } = this.config;
    const { layers } = this.config[site === 'cross' ? 'decoder' : site];
    const rows = split(prefix?.rows.get(site) ?? new Float32Array(), 2 * layers * width);
    return rows.map((row) => row.slice(block * width, (block + 1) * width));
  }

  #weight(name: string): Float32Array {
    const values = this.weights.get(name);
    if (values === undefined) throw new Error(`no weight ${name}`);
    return values;
  }

  #row(name: string, row: number): number[] {
    const { width } = this.config;
    return [...this.#weight(name).subarray(row * width, (row + 1) * width)];
  }

  #linear(x: Rows, name: string): Rows {
    const [weight, bias] = [this.#weight(`${name}.weight`), [...this.#weight(`${name}.bias`)]];
    return x.map((row) =>
      bias.map((b, output) => row.reduce((y, value, i) => y + value * (weight[output * row.length + i] as number), b)),
    );
  }

  #norm(x: Rows, name: string): Rows {
    const [weight, bias] = [this.#weight(`${name}.weight`), this.#weight(`${name}.bias`)];
    return x.map((row) => {
      const mean = row.reduce((a, b) => a + b) / row.length;
      const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length;
      const scale = 1 / Math.sqrt(variance + 1e-5);
      return row.map((value, i) => (value - mean) * scale * (weight[i] as number) + (bias[i] as number));
    });
  }
}

function unknown(): never {
  throw new Error('no such activation here');
}

/** Abramowitz and Stegun 7.1.5, the Taylor series: to within 2e-8. */
function erf(x: number): number {
  if (Math.abs(x) > 4) return Math.sign(x);
  let [term, total] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

function attend(query: Rows, keys: Rows, values: Rows, heads: number): Rows {
  return query.map((row) => {
    const headDim = row.length / heads;
    return Array.from({ length: heads }, (_, head) => {
      const [from, to] = [head * headDim, (head + 1) * headDim];
      const q = row.slice(from, to);
      const scores = keys.map((key) => Math.exp(dot(q, key.slice(from, to)) / Math.sqrt(headDim)));
      const total = scores.reduce((a, b) => a + b);
      return q.map(
        (_, i) =>
          dot(
            scores,
            values.map((value) => value[from + i] as number),
          ) / total,
      );
    }).flat();
  });
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((total, x, i) => total + x * (b[i] as number), 0);
}

function add(a: readonly number[], b: readonly number[]): number[] {
  return a.map((x, i) => x + (b[i] as number));
}

function sum(a: Rows, b: Rows): Rows {
  return a.map((row, i) => add(row, b[i] as readonly number[]));
}

function split(values: Float32Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) => [
    ...values.subarray(row * width, (row + 1) * width),
  ]);
}
