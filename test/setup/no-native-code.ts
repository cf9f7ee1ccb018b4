// Stands for koffi in the project `unit`: a test that needs native code belongs to `native` (vitest.config.ts).
throw new Error('This test loads native code: name it in `native` of vitest.config.ts.');
