import fc from 'fast-check';

/** Matrices of floats of up to so many inputs and outputs, for fast-check. */
export function matrices(mostInputs: number, mostOutputs: number) {
  const sizes = { inputs: fc.integer({ min: 1, max: mostInputs }), outputs: fc.integer({ min: 1, max: mostOutputs }) };
  return fc.record(sizes).chain(({ inputs, outputs }) => {
    const value = fc.float({ min: -8, max: 8, noNaN: true });
    const length = inputs * outputs;
    return fc.record({
      inputs: fc.constant(inputs),
      outputs: fc.constant(outputs),
      source: fc.array(value, { minLength: length, maxLength: length }).map((list) => Float32Array.from(list)),
    });
  });
}
