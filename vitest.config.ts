import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Real sockets, namespaces and engines: files run in separate processes, two at a time.
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './scripts/closing-line-reporter.ts'],
  },
});
