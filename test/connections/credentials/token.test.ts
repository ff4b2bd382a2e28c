import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { createToken, isExpired, refreshAtMs } from '../../../src/connections/credentials/token.ts'
import { createJwt } from './jwt.ts'

const NOW_MS = 1_800_000_000_000
const NOW_S = NOW_MS / 1000

test('the exp of a JWT is its expiry', () => {
  expect(createToken(createJwt({ exp: NOW_S + 300 }), NOW_MS).expiresAtMs).toBe(NOW_MS + 300_000)
})

test('a JWT does not outlive its own life when this machine’s clock is behind its issuer’s', () => {
  const jwt = createJwt({ iat: NOW_S + 1000, exp: NOW_S + 1300 })
  expect(createToken(jwt, NOW_MS).expiresAtMs).toBe(NOW_MS + 300_000)
})

test('a JWT that was issued some time ago expires at its exp', () => {
  const jwt = createJwt({ iat: NOW_S - 200, exp: NOW_S + 100 })
  expect(createToken(jwt, NOW_MS).expiresAtMs).toBe(NOW_MS + 100_000)
})

test('what the issuer says beside the JWT counts more than what is in it', () => {
  expect(createToken(createJwt({ exp: NOW_S + 300 }), NOW_MS, NOW_MS + 5000).expiresAtMs).toBe(NOW_MS + 5000)
})

test.each(['opaque', 'a.b.c', 'a.b', createJwt({}), createJwt({ exp: 'soon' }), createJwt('text'), createJwt(null)])(
  'a text without a readable exp does not expire: %s',
  (value) => {
    const token = createToken(value, NOW_MS)
    expect(token.expiresAtMs).toBeNull()
    expect(refreshAtMs(token)).toBeNull()
    expect(isExpired(token, Number.MAX_SAFE_INTEGER)).toBe(false)
  },
)

test('a token is refreshed when a fifth of its life is left, at most 60 s ahead', () => {
  const dueAfterMs = (lifeMs: number) => Number(refreshAtMs(createToken('t', NOW_MS, NOW_MS + lifeMs))) - NOW_MS
  expect(dueAfterMs(2000)).toBe(1600)
  expect(dueAfterMs(100_000)).toBe(80_000)
  expect(dueAfterMs(300_000)).toBe(240_000)
  expect(dueAfterMs(3_600_000)).toBe(3_540_000)
})

test('a token shows its times, never its value', () => {
  const token = createToken('very-secret', NOW_MS)
  expect(token.value).toBe('very-secret')
  expect(`${inspect(token)} ${JSON.stringify(token)} ${JSON.stringify({ ...token })}`).not.toContain('very-secret')
})
