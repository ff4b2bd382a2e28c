/** A real OAuth2 server on loopback that can be slow, down, or refuse; and what it did. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export const CLIENT_SECRET = 'the-client-secret-5b1f'

export interface OAuthServer {
  readonly tokenUrl: string
  /** Values of the tokens it issued, in order. */
  readonly issued: readonly string[]
  /** Requests for a token, those that failed included. */
  readonly requests: number
  /** Before each answer; default 0. */
  answerAfterMs: number
  /** Answers with this status instead; null: as it is. */
  status: number | null
  stop(): Promise<void>
  start(): Promise<void>
}

export async function createOAuthServer(lifeS: number): Promise<OAuthServer> {
  const issued: string[] = []
  let requests = 0
  let port = 0
  let server: Server | null = null
  const Provider = await loadProvider()
  const provider = new Provider('http://127.0.0.1', {
    clients: [
      {
        client_id: 'reader',
        client_secret: CLIENT_SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope: 'read',
      },
    ],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    scopes: ['read', 'write'],
    ttl: { ClientCredentials: lifeS },
  })
  const callback = provider.callback()
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await delay(own.answerAfterMs)
    if (own.status === null) return callback(request, response)
    response.statusCode = own.status
    response.setHeader('content-type', 'text/plain')
    response.end(`not now, ${CLIENT_SECRET}`)
  }
  const own: OAuthServer = {
    get tokenUrl() {
      return `http://127.0.0.1:${port}/token`
    },
    issued,
    get requests() {
      return requests
    },
    answerAfterMs: 0,
    status: null,
    start: async () => {
      server = createServer((request, response) => {
        requests += 1
        const end = response.end.bind(response)
        response.end = ((body: unknown) => {
          const token = /"access_token":"([^"]+)"/.exec(String(body))?.[1]
          if (token !== undefined) issued.push(token)
          return end(body as string)
        }) as typeof response.end
        void answer(request, response)
      })
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      port = (server.address() as AddressInfo).port
    },
    stop: async () => {
      const running = server
      server = null
      if (running === null) return
      running.closeAllConnections()
      await new Promise((resolve) => running.close(resolve))
    },
  }
  await own.start()
  return own
}

/** The credential of a client of that server, as it stands in a configuration. */
export function oauth2Config(server: OAuthServer): { oauth2: Record<string, unknown> } {
  return { oauth2: { token_url: server.tokenUrl, client_id: 'reader', client_secret: CLIENT_SECRET, scope: 'read' } }
}

/** Without its warnings that it is not set up for production. */
async function loadProvider() {
  const warn = console.warn
  console.warn = (...args: unknown[]) => {
    if (!String(args[0]).includes('oidc-provider WARNING')) warn(...args)
  }
  return (await import('oidc-provider')).Provider
}
