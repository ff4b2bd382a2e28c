import { MillraceError } from '../../../errors.ts'
import { createToken, isExpired, type Token } from '../token.ts'

/**
 * A token that nothing renews but a person.
 * @param holder where it stands, for messages.
 * @throws MillraceError CONFIG when it has expired: no waiting helps.
 */
export function createFixedToken(value: string, holder: string): Token {
  const nowMs = Date.now()
  const token = createToken(value, nowMs)
  if (!isExpired(token, nowMs)) return token
  throw new MillraceError(
    'CONFIG',
    `the token in ${holder} expired at ${new Date(token.expiresAtMs ?? 0).toISOString()}`,
    {
      hint: 'Put a new one there, or use a credential that renews itself: file, command, oauth2 or motherduck.',
    },
  )
}
