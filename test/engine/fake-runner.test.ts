import { FakeRunner, makeFakeKv, makeFakeSourceKv } from './fake-runner.js';
import { describeRunner } from './runner-contract.js';
import { describeSources } from './source-contract.js';

const makeSourceRunner = (): FakeRunner => new FakeRunner({ sourceLength: 40 });

describeRunner('the fake', () => ({ runner: new FakeRunner(), makeKv: makeFakeKv }), { tolerance: 0 });
describeSources('the fake', () => ({ runner: makeSourceRunner(), makeKv: makeFakeSourceKv }), { tolerance: 0 });
