import { describeOnnxRunner } from './runner-suite.js';

describeOnnxRunner('on the CPU');
// The CPU as a device: the graphs, the memory and the copies of one, without its provider's own code.
describeOnnxRunner('in memory that has addresses only', { memory: 'addresses' });
describeOnnxRunner('in memory that has handles only', { memory: 'handles' });
