import { MillraceError } from '../../../errors.ts'
import type { TokenFetcher } from '../token-fetcher.ts'
import { createFixedToken } from './fixed-token.ts'

/** Read at each use from `env`, which a program may change while it runs. */
export function createEnvFetcher(variable: string, env: Record<string, string | undefined>): TokenFetcher {
  let last: string | undefined
  const read = (): string => env[variable]?.trim() ?? ''
  return {
    fetch: async () => {
      const value = read()
      if (value === '') {
        throw new MillraceError(
          'CONFIG',
          `expected a token in the environment variable ${variable}, which is not set`,
          {
            hint: `Set ${variable} where the worker starts, or in the project's .env file.`,
          },
        )
      }
      const token = createFixedToken(value, variable)
      last = value
      return token
    },
    isCurrent: () => read() === last,
  }
}
