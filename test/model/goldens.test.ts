import { describeGoldens } from './golden-suite.js';

describeGoldens('the CPU');
// The CPU as a device: the graphs, the memory and the copies of one, without its provider's own code.
describeGoldens('memory that has addresses only', { model: { memory: 'addresses' } });
describeGoldens('memory that has handles only', { model: { memory: 'handles' } });
