import type { GraphBuilder, Value } from '../graph.js';
import { float, inputOf, outputGradient, type Rule } from './rule.js';

/** Rule of Add. An operand whose gradient is needed must have the result's shape; the other may be broadcast. */
const add: Rule = (input) => {
  const dy = outputGradient(input);
  return [dy, dy];
};

/** Rule of Mul, with the same restriction as `add`. */
const mul: Rule = (input) => {
  const { graph, node, needs } = input;
  const dy = outputGradient(input);
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  return [needs(0) ? graph.node('Mul', [dy, b]) : undefined, needs(1) ? graph.node('Mul', [dy, a]) : undefined];
};

/**
 * Rule of a function of one operand. `derivative` writes the derivative from the function's input `x` and output `y`.
 */
function unary(derivative: (write: Arithmetic, x: Value, y: Value) => Value): Rule {
  return (input) => {
    const { graph, node } = input;
    const slope = derivative(new Arithmetic(graph), inputOf(node, 0), node.outputs[0] as Value);
    return [graph.node('Mul', [outputGradient(input), slope])];
  };
}

/** Writes elementwise arithmetic with constants. */
class Arithmetic {
  constructor(private readonly graph: GraphBuilder) {}

  /** `a * b`. */
  times(a: Value, b: Value | number): Value {
    return this.graph.node('Mul', [a, typeof b === 'number' ? this.graph.float32(b) : b]);
  }

  /** `a + b`. */
  plus(a: Value, b: Value | number): Value {
    return this.graph.node('Add', [a, typeof b === 'number' ? this.graph.float32(b) : b]);
  }

  /** `1 - a`. */
  oneMinus(a: Value): Value {
    return this.graph.node('Sub', [this.graph.float32(1), a]);
  }

  /** `(a + 1) / 2` of `a` between -1 and 1, in one pass. */
  toUnit(a: Value): Value {
    return this.graph.node('HardSigmoid', [a], { alpha: { float: 0.5 }, beta: { float: 0.5 } });
  }

  apply(op: string, a: Value): Value {
    return this.graph.node(op, [a]);
  }

  /** Derivative of `x * sigmoid(u)`: `s * (1 + x * du/dx * (1 - s))`, with `s = sigmoid(u)`. */
  gated(x: Value, u: Value, du: Value | number): Value {
    const s = this.apply('Sigmoid', u);
    return this.times(s, this.plus(this.times(this.times(x, du), this.oneMinus(s)), 1));
  }
}

/** `sqrt(2 / pi)`, and the cubic coefficient of the tanh approximation (Hendrycks and Gimpel 2016). */
const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** Derivative of Gelu's tanh form, which is `x * sigmoid(2u)` with `u = scale * (x + cubic * x^3)`. */
function geluTanh(write: Arithmetic, x: Value): Value {
  const cubic = write.times(write.times(x, x), 2 * GELU_SCALE * GELU_CUBIC); // 2 * scale * cubic * x^2
  const u = write.times(x, write.plus(cubic, 2 * GELU_SCALE));
  return write.gated(x, u, write.plus(write.times(cubic, 3), 2 * GELU_SCALE));
}

/** Derivative of Gelu's exact form: `Phi(x) + x * phi(x)`. */
function geluErf(write: Arithmetic, x: Value): Value {
  const cumulative = write.toUnit(write.apply('Erf', write.times(x, Math.SQRT1_2)));
  const density = write.times(write.apply('Exp', write.times(write.times(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return write.plus(cumulative, write.times(x, density));
}

const gelu: Rule = (input) => unary(input.node.attributes['approximate'] === 'tanh' ? geluTanh : geluErf)(input);

const quickGelu: Rule = (input) => {
  const alpha = float(input.node, 'alpha', 1.702);
  return unary((write, x) => write.gated(x, write.times(x, alpha), alpha))(input);
};

/** Rule of Relu. The derivative at 0 is 0, as in PyTorch. */
const relu: Rule = (input) => {
  const { graph, node } = input;
  return [graph.node('Mul', [outputGradient(input), graph.node('Sign', [node.outputs[0]])])];
};

/** Rules of operators that treat each element by itself. */
export const ELEMENTWISE_RULES: Readonly<Record<string, Rule>> = {
  Add: add,
  Mul: mul,
  Gelu: gelu,
  'com.microsoft:QuickGelu': quickGelu,
  Relu: relu,
  Tanh: unary((write, _x, y) => write.oneMinus(write.times(y, y))),
  Sigmoid: unary((write, _x, y) => write.times(y, write.oneMinus(y))),
};
