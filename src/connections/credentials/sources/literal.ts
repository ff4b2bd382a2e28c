import type { TokenFetcher } from '../token-fetcher.ts'
import { createFixedToken } from './fixed-token.ts'

/** The secret as it stands in the configuration. */
export function createLiteralFetcher(secret: string): TokenFetcher {
  return { fetch: async () => createFixedToken(secret, 'the configuration') }
}
