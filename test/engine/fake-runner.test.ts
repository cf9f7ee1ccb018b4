import { FakeRunner, makeFakeKv } from './fake-runner.js';
import { describeRunner } from './runner-contract.js';

describeRunner('the fake', () => ({ runner: new FakeRunner(), makeKv: makeFakeKv }), { tolerance: 0 });
