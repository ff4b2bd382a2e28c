/** A secret with a life. */

export interface Token {
  /** The secret. Not enumerable: printing, spreading and JSON leave it out. */
  readonly value: string
  /** By this machine's clock, as all times here. */
  readonly obtainedAtMs: number
  /** Null: it is good until it is refused. */
  readonly expiresAtMs: number | null
}

/** Refreshed at most this long before it expires. */
const LONGEST_AHEAD_MS = 60_000
/** Refreshed when this part of its life is left. */
const AHEAD_PART = 1 / 5

/** @param expiresAtMs what the issuer said; without it, the `exp` of a JWT counts. */
export function createToken(value: string, obtainedAtMs: number, expiresAtMs: number | null = null): Token {
  const times = { obtainedAtMs, expiresAtMs: expiresAtMs ?? jwtExpiryMs(value, obtainedAtMs) }
  return Object.freeze(Object.defineProperty({ ...times, value: '' }, 'value', { value, enumerable: false }))
}

/** When to ask for the next one: ahead of expiry by a fifth of its life, never more than 60 s. Null: never. */
export function refreshAtMs({ obtainedAtMs, expiresAtMs }: Token): number | null {
  if (expiresAtMs === null) return null
  return expiresAtMs - Math.min((expiresAtMs - obtainedAtMs) * AHEAD_PART, LONGEST_AHEAD_MS)
}

export function isExpired({ expiresAtMs }: Token, nowMs: number): boolean {
  return expiresAtMs !== null && nowMs >= expiresAtMs
}

/** The signature is not checked: whoever the token is for does that. */
function jwtExpiryMs(value: string, obtainedAtMs: number): number | null {
  const claims = jwtClaims(value)
  const expiresAtS = numberOf(claims, 'exp')
  if (expiresAtS === null) return null
  const issuedAtS = numberOf(claims, 'iat')
  const lifeMs = issuedAtS === null || issuedAtS >= expiresAtS ? Infinity : (expiresAtS - issuedAtS) * 1000
  // With a clock behind the issuer's, `exp` alone would let the token live longer than it does.
  return Math.min(expiresAtS * 1000, obtainedAtMs + lifeMs)
}

function jwtClaims(value: string): unknown {
  const [, payload, ...rest] = value.split('.')
  if (payload === undefined || rest.length !== 1) return null
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  } catch {
    return null
  }
}

function numberOf(claims: unknown, name: string): number | null {
  if (typeof claims !== 'object' || claims === null) return null
  const value: unknown = Reflect.get(claims, name)
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
