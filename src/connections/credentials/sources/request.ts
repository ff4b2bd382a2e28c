import { abortable } from '../../abortable.ts'
import { outsideContext } from '../../outside-context.ts'

const TIME_LIMIT_MS = 10_000

/**
 * One request and its whole answer. Redirects are not followed: they would take the secret elsewhere.
 * @throws Error that names the address and why, nothing else; the signal's reason.
 */
export async function request(url: URL, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
  signal?.throwIfAborted()
  // Connections are kept for the next request: they must not keep the asker's context.
  const answer = outsideContext(() => send(url, init, signal))
  return abortable(answer, signal)
}

async function send(url: URL, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
  const stop = new AbortController()
  const abort = (): void => stop.abort()
  const limit = setTimeout(abort, TIME_LIMIT_MS)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: stop.signal })
    const body = await response.text()
    const { status, headers } = response
    return new Response(body === '' ? null : body, { status, headers })
  } catch (error) {
    signal?.throwIfAborted()
    const where = `${url.origin}${url.pathname}`
    throw stop.signal.aborted
      ? new Error(`no answer from ${where} within ${TIME_LIMIT_MS / 1000} s`)
      : new Error(`cannot reach ${where}: ${reasonOf(error)}`)
  } finally {
    clearTimeout(limit)
    signal?.removeEventListener('abort', abort)
  }
}

/** `ECONNREFUSED`, `ENOTFOUND`, …: Node's own words are "fetch failed". */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null
  const code: unknown = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : null
  if (typeof code === 'string') return code
  return cause instanceof Error ? cause.message : 'the request failed'
}
