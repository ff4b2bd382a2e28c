import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { MotherDuckCredential } from '../credential.ts'
import { parseExpiry } from '../expiry.ts'
import { createToken } from '../token.ts'
import type { TokenFetcher } from '../token-fetcher.ts'
import { request } from './request.ts'

export const MOTHERDUCK_API = 'https://api.motherduck.com'

const createdSchema = z.object({ token: z.string().min(1), expire_at: z.string().nullish() })

/** Tokens of a service account, made over the REST API with an administrator's token. */
export function createMotherDuckFetcher(
  { username, ttlMs }: MotherDuckCredential,
  adminToken: TokenFetcher,
  apiUrl: string,
): TokenFetcher {
  const url = new URL(`v1/users/${encodeURIComponent(username)}/tokens`, apiUrl.endsWith('/') ? apiUrl : `${apiUrl}/`)
  return {
    fetch: async (auth) => {
      const admin = await adminToken.fetch(auth)
      const startedMs = Date.now()
      const wanted = { name: `millrace-${randomUUID()}`, ttl: Math.ceil(ttlMs / 1000), token_type: 'read_write' }
      const response = await request(
        url,
        {
          method: 'POST',
          headers: {
            authorization: `Bearer ${admin.value}`,
            'content-type': 'application/json',
            accept: 'application/json',
          },
          body: JSON.stringify(wanted),
        },
        auth.signal,
      )
      const body = await jsonOf(response)
      const created = createdSchema.safeParse(body)
      if (response.status !== 200 || !created.success) {
        throw new Error(`${url.href} answered with status ${response.status}: ${codeOf(body) ?? 'no token'}`)
      }
      const { token, expire_at: written } = created.data
      const saidMs = written === undefined || written === null ? null : parseExpiry(written)
      return createToken(token, startedMs, Math.min(saidMs ?? Infinity, startedMs + ttlMs))
    },
  }
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return null
  }
}

/** `UNAUTHORIZED`, `NOT_FOUND`, …; the message beside it may repeat what was sent. */
function codeOf(body: unknown): string | null {
  const code: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'code') : null
  return typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : null
}
