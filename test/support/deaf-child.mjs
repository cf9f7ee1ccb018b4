// Stands for a training process in the midst of something long: it hears nothing that it is told, for ten minutes.
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600_000);
