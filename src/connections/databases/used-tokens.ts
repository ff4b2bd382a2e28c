/** The tokens that a lease works with, for when a server refuses one of them. */
import type { Token } from '../credentials/token.ts'
import type { TokenSource } from '../credentials/token-source.ts'
import type { UsedCredentials } from './database.ts'

export interface UsedToken {
  source: TokenSource
  token: Token
}

/** @param startedMs when the lease was asked for: a token obtained since then was new to it, and is not worth another attempt. */
export function usedTokens(used: readonly UsedToken[], startedMs: number): UsedCredentials {
  return {
    refused: () => {
      const older = used.filter(({ token }) => token.obtainedAtMs < startedMs)
      for (const { source, token } of older) source.refused(token)
      return older.length > 0
    },
  }
}
