import { defineConfig } from 'vitest/config'

// Inherited by the processes that run the tests, whose queries would otherwise share four threads with everything else.
process.env['UV_THREADPOOL_SIZE'] ??= '64'

/** Those that `npm test` runs smaller. */
const FULL_SIZE = ['killed-worker', 'many-workers', 'expiry-build', 'attached-catalogs'].map(
  (name) => `test/server/${name}.test.ts`,
)
const reduced = process.env['MILLRACE_SOAK_MODELS'] !== undefined

const common = { pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 240_000 }
const COMPILED = 'test/helpers/compiled.ts'

/**
 * `unit` needs nothing but this folder; `server` runs against a real Temporal server; `soak` takes long, and is no part of `npm test`. Two files at a time, whatever the machine has: much of
 * their time is spent waiting, for a heartbeat that stays away, a token that expires, and claims about time hold beside one other file.
 */
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/server/**', 'test/soak/**'],
          globalSetup: [COMPILED],
        },
      },
      {
        test: {
          ...common,
          name: 'server',
          include: ['test/server/**/*.test.ts'],
          globalSetup: [COMPILED, 'test/helpers/temporal-cli.ts'],
          testTimeout: 240_000,
        },
      },
      {
        test: {
          ...common,
          name: 'soak',
          include: ['test/soak/**/*.test.ts', ...(reduced ? [] : FULL_SIZE)],
          env: { MILLRACE_FULL_SIZE: '1' },
          globalSetup: [COMPILED, 'test/helpers/temporal-cli.ts'],
          testTimeout: 240_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
