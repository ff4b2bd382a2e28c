import type { AuthContext } from './auth-context.ts'
import type { Token } from './token.ts'

/**
 * Where tokens of one credential come from. What it throws is shown to people: never a secret in it, no foreign error as
 * its cause. A MillraceError says that asking again is of no use.
 */
export interface TokenFetcher {
  /** A token that is good now. Runs in the asker's asynchronous context; ends when `auth.signal` is aborted. */
  fetch(auth: AuthContext): Promise<Token>
  /** False when what the last token was read from has changed since. Cheap: asked at each use. Without it, never changed. */
  isCurrent?(): boolean
}
