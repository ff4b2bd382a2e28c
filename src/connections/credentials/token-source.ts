/** Hands out the tokens of one credential, fetched by whoever asks when one is needed. */
import { MillraceError } from '../../errors.ts'
import { abortable } from '../abortable.ts'
import { createAsker, type Asker } from './asker.ts'
import type { AuthContext } from './auth-context.ts'
import { createBackOff } from './back-off.ts'
import { credentialIdentity } from './credential-identity.ts'
import type { Credential } from './credential.ts'
import { createFetcher } from './sources/index.ts'
import { MOTHERDUCK_API } from './sources/motherduck.ts'
import { isExpired, refreshAtMs, type Token } from './token.ts'

export interface TokenSourceOptions {
  /** Where variables are looked up, and what commands are started with; default `process.env`. */
  env?: Record<string, string | undefined>
  /** How long one `get` goes on trying while it has no token to hand out; default 60 000. */
  refreshTimeoutMs?: number
  /** MotherDuck's REST API; default `https://api.motherduck.com`. */
  motherduckUrl?: string
}

export interface TokenSource {
  /** What the credential is known by; no secret. */
  readonly identity: string
  /**
   * A token that has not expired. The fetch, when one is due, runs in the asynchronous context of the first who asks; the
   * others wait, each calling its own heartbeat at least every second. When the first is aborted, the next one fetches.
   * A token that is due but has not expired is handed out while no newer one can be had.
   * @throws MillraceError CREDENTIALS when none came in time, CONFIG when waiting cannot help; the signal's reason; what the
   * heartbeat threw.
   */
  get(auth?: AuthContext): Promise<Token>
  /** The server refused this token, as `get` gave it: it is not handed out again without being fetched anew, once. */
  refused(token: Token): void
  snapshot(): TokenSourceSnapshot
}

export interface TokenSourceSnapshot {
  /** Its own in the process: several may have one identity. */
  number: number
  identity: string
  /** Times the source was asked, failures included. */
  fetches: number
  failures: number
  /** Asks that wait now, the one that fetches included. */
  waiting: number
  obtainedAtMs: number | null
  /** Null: there is no token, or it does not expire. */
  expiresAtMs: number | null
  /** Why the last fetch failed; null after one that did not. */
  problem: string | null
}

let lastNumber = 0

const DEFAULT_REFRESH_TIMEOUT_MS = 60_000
/** A fetch is given up after this long, and tried again. */
const LONGEST_FETCH_MS = 30_000
/** With a good token in hand, nobody waits longer than this for the fetch of another. */
const LONGEST_JOIN_MS = 1000
const LONGEST_NAME = 200

/**
 * Asked only inside `get`, never on a timer; keeps nothing alive between two calls.
 *
 * | token in hand            | who asks                                                                              |
 * |---|---|
 * | good, not due            | gets it                                                                               |
 * | good, due or changed     | fetches or waits for whoever does; after a failure all get it until the next try is due |
 * | none, expired or refused | fetches, again and again, or waits for whoever does, up to `refreshTimeoutMs`         |
 */
export function createTokenSource(credential: Credential, options: TokenSourceOptions = {}): TokenSource {
  const { env = process.env, refreshTimeoutMs = DEFAULT_REFRESH_TIMEOUT_MS, motherduckUrl = MOTHERDUCK_API } = options
  const identity = credentialIdentity(credential)
  const shown = identity.length > LONGEST_NAME ? `${identity.slice(0, LONGEST_NAME)}…` : identity
  const fetcher = createFetcher(credential, { env, motherduckUrl })
  const number = ++lastNumber
  let current: Token | null = null
  let refreshDueMs: number | null = null
  let refusedToken: Token | null = null
  /** The fetch that runs, for the others to wait for; null in the end when it brought nothing. Never rejects. */
  let flight: Promise<Token | null> | null = null
  let problem: Error | null = null
  const backOff = createBackOff()
  const counts = { fetches: 0, failures: 0, waiting: 0 }

  async function get(auth: AuthContext = {}): Promise<Token> {
    auth.signal?.throwIfAborted()
    const kept = keptToken()
    if (kept !== null) return kept
    const asker = createAsker(auth, refreshTimeoutMs, describeWait)
    counts.waiting += 1
    try {
      return await waitForToken(asker)
    } catch (error) {
      if (!asker.timedOut) throw error
      const left = goodToken()
      if (left !== null) return left
      throw unavailable()
    } finally {
      counts.waiting -= 1
      asker.end()
    }
  }

  /** The token in hand, when there is no need or no use to ask for another. */
  function keptToken(): Token | null {
    const token = goodToken()
    if (token === null) return null
    const due = (refreshDueMs !== null && Date.now() >= refreshDueMs) || fetcher.isCurrent?.() === false
    return !due || backOff.pausing ? token : null
  }

  function goodToken(): Token | null {
    return current === null || current === refusedToken || isExpired(current, Date.now()) ? null : current
  }

  async function waitForToken(asker: Asker): Promise<Token> {
    for (;;) {
      // Whoever comes first here after a fetch that brought nothing is the next to try, in its own context.
      const token = await (flight === null ? lead(asker) : join(flight, asker))
      if (token !== null) return token
      const kept = keptToken()
      if (kept !== null) return kept
    }
  }

  /** Stored before it is awaited, so that others join; forgotten before they wake, so that one of them can lead. */
  async function lead(asker: Asker): Promise<Token | null> {
    let token: Token | null = null
    let land: () => void = () => {}
    flight = new Promise((resolve) => {
      land = () => resolve(token)
    })
    try {
      token = await refresh(asker)
      return token
    } finally {
      flight = null
      land()
    }
  }

  async function join(fetching: Promise<Token | null>, { signal }: Asker): Promise<Token | null> {
    if (goodToken() === null) return abortable(fetching, signal)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<Token | null>((resolve) => {
      timer = setTimeout(() => resolve(goodToken()), Math.min(leftMs() / 2, LONGEST_JOIN_MS))
    })
    try {
      return await abortable(Promise.race([fetching, patience]), signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Null: no new token, but the one in hand is good. */
  async function refresh(asker: Asker): Promise<Token | null> {
    for (;;) {
      await backOff.pause(asker.signal)
      try {
        return accept(await fetchOnce(asker))
      } catch (error) {
        // That the asker left says nothing about the source.
        asker.signal.throwIfAborted()
        counts.failures += 1
        problem = error instanceof Error ? error : new Error(String(error))
        const good = goodToken() !== null
        if (error instanceof MillraceError && !good) throw error
        backOff.failed()
        if (good) return null
      }
    }
  }

  async function fetchOnce({ auth, signal }: Asker): Promise<Token> {
    signal.throwIfAborted()
    const own = new AbortController()
    const abort = (): void => own.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    // With a good token in hand, a source that hangs must not make everybody wait until that one has expired, too.
    const limitMs = goodToken() === null ? LONGEST_FETCH_MS : Math.min(leftMs() / 2, LONGEST_FETCH_MS)
    const limit = setTimeout(() => own.abort(new Error(`no answer within ${(limitMs / 1000).toFixed(1)} s`)), limitMs)
    counts.fetches += 1
    try {
      const token = await abortable(fetcher.fetch({ ...auth, signal: own.signal }), own.signal)
      const { expiresAtMs } = token
      if (!isExpired(token, Date.now())) return token
      throw new Error(`the token it gave expired at ${new Date(expiresAtMs ?? 0).toISOString()}`)
    } finally {
      clearTimeout(limit)
      signal.removeEventListener('abort', abort)
    }
  }

  /** Of the token in hand. */
  function leftMs(): number {
    return current === null || current.expiresAtMs === null ? Infinity : current.expiresAtMs - Date.now()
  }

  function accept(token: Token): Token {
    // Read again and still the same: what was opened with it stays as it is. After a refusal it counts as a new one.
    const same = current !== null && current !== refusedToken && equal(current, token)
    const accepted = same && current !== null ? current : token
    current = accepted
    refusedToken = null
    refreshDueMs = refreshAtMs(token)
    backOff.succeeded()
    problem = null
    return accepted
  }

  function describeWait(): string {
    return `waiting for a token of ${shown}${problem === null ? '' : `; ${problemText(problem)}`}`
  }

  function unavailable(): MillraceError {
    const cause = problem === null ? 'it did not answer' : problemText(problem)
    return new MillraceError('CREDENTIALS', `no token from ${shown} within ${refreshTimeoutMs / 1000} s: ${cause}`, {
      hint: 'Check that what the credential names can be reached from the worker and gives a token to it.',
      ...(problem === null ? {} : { cause: new Error(problemText(problem)) }),
    })
  }

  /** A function's error may repeat a token. */
  function problemText({ message }: Error): string {
    const known = current === null ? message : message.replaceAll(current.value, '<token>')
    return known.replaceAll(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, '<token>').slice(0, 300)
  }

  return {
    identity,
    get,
    refused: (token) => {
      // One that is not the current one has been replaced already.
      if (token === current) refusedToken = token
    },
    snapshot: () => ({
      number,
      identity,
      ...counts,
      obtainedAtMs: current?.obtainedAtMs ?? null,
      expiresAtMs: current?.expiresAtMs ?? null,
      problem: problem === null ? null : problemText(problem),
    }),
  }
}

function equal(a: Token, b: Token): boolean {
  return a.value === b.value && a.expiresAtMs === b.expiresAtMs
}
