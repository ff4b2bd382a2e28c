import { defineConfig } from 'vitest/config'

// Inherited by the processes that run the tests, whose queries would otherwise share four threads with everything else.
process.env['UV_THREADPOOL_SIZE'] ??= '64'

const common = { pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 240_000 }

/** `unit` needs nothing but this folder; `server` runs against a real Temporal server, one file at a time so that timing claims hold. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/server/**'],
        },
      },
      {
        test: {
          ...common,
          name: 'server',
          include: ['test/server/**/*.test.ts'],
          fileParallelism: false,
          globalSetup: ['test/helpers/temporal-cli.ts'],
          testTimeout: 240_000,
        },
      },
    ],
  },
})
