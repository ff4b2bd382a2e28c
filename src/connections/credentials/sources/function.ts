import type { GetToken } from '../credential.ts'
import { createToken } from '../token.ts'
import type { TokenFetcher } from '../token-fetcher.ts'

/** Called in the asker's own asynchronous context, with who asks. */
export function createFunctionFetcher(getToken: GetToken): TokenFetcher {
  return {
    fetch: async (auth) => {
      const startedMs = Date.now()
      const given: unknown = await call(getToken, auth)
      const { token, expiresAtMs } =
        typeof given === 'object' && given !== null ? fieldsOf(given) : { token: given, expiresAtMs: null }
      if (typeof token !== 'string' || token === '') {
        throw new Error('expected the function to return a text or { token, expiresAtMs }; got something else')
      }
      if (expiresAtMs !== null && !(typeof expiresAtMs === 'number' && Number.isFinite(expiresAtMs))) {
        throw new Error('expected expiresAtMs to be milliseconds since 1970; got something else')
      }
      return createToken(token, startedMs, expiresAtMs)
    },
  }
}

async function call(getToken: GetToken, auth: Parameters<GetToken>[0]): Promise<unknown> {
  let message: string
  try {
    return await getToken(auth)
  } catch (error) {
    message = error instanceof Error ? error.message : String(error)
  }
  // Its first line only: what an error carries along (requests, headers) may hold secrets.
  throw new Error(`the function failed: ${message.split('\n', 1)[0]}`)
}

function fieldsOf(given: object): { token: unknown; expiresAtMs: unknown } {
  const { token, expiresAtMs = null }: { token?: unknown; expiresAtMs?: unknown } = given
  return { token, expiresAtMs }
}
