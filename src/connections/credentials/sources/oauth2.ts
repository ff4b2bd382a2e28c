import { outsideContext } from '../../outside-context.ts'
import type { OAuth2Credential } from '../credential.ts'
import { isLoopback } from '../safe-url.ts'
import { createToken } from '../token.ts'
import type { TokenFetcher } from '../token-fetcher.ts'
import { request } from './request.ts'

/** What `oauth4webapi` says when a server's answer is not OAuth's. */
const NOT_OAUTH = 'no OAuth answer'

/** Client credentials grant; the client authenticates with HTTP Basic, which every server must understand. */
export function createOAuth2Fetcher(credential: OAuth2Credential, clientSecret: TokenFetcher): TokenFetcher {
  const url = new URL(credential.tokenUrl)
  const server = { issuer: url.origin, token_endpoint: url.href }
  const client = { client_id: credential.clientId }
  const { scope, audience } = credential
  const parameters = { ...(scope === null ? {} : { scope }), ...(audience === null ? {} : { audience }) }
  return {
    fetch: async (auth) => {
      // Loaded when first needed, which for most projects is never.
      const oauth = await outsideContext(() => import('oauth4webapi'))
      const secret = await clientSecret.fetch(auth)
      const startedMs = Date.now()
      const response = await oauth.clientCredentialsGrantRequest(
        server,
        client,
        oauth.ClientSecretBasic(secret.value),
        parameters,
        {
          [oauth.allowInsecureRequests]: isLoopback(url),
          [oauth.customFetch]: (_, { method, headers, body }) => request(url, { method, headers, body }, auth.signal),
        },
      )
      const { status } = response
      const refusal = status === 200 ? null : await errorCodeOf(response.clone())
      try {
        const answer = await oauth.processClientCredentialsResponse(server, client, response)
        return createToken(answer.access_token, startedMs, expiryMs(startedMs, answer.expires_in))
      } catch {
        // Not the library's error: it carries the whole answer along.
        throw new Error(`${url.origin}${url.pathname} answered with status ${status}: ${refusal ?? NOT_OAUTH}`)
      }
    },
  }
}

/** From the request's start: the token's life began no earlier. */
function expiryMs(startedMs: number, lifeS: number | undefined): number | null {
  return lifeS === undefined ? null : startedMs + lifeS * 1000
}

/** `invalid_client` and the like; the description beside it may repeat what was sent. */
async function errorCodeOf(response: Response): Promise<string | null> {
  try {
    const body: unknown = await response.json()
    const code: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'error') : null
    return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code) ? code : null
  } catch {
    return null
  }
}
