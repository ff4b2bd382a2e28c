/** The catalogs that an open instance has beside its own: attached once, and anew when what they authenticate with has changed. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { mkdirSync } from 'node:fs'
import { MillraceError } from '../../errors.ts'
import { canonicalPath } from '../canonical-path.ts'
import { ConnectionLost } from '../connection-lost.ts'
import type { AuthContext } from '../credentials/auth-context.ts'
import {
  createTokenSource,
  type TokenSource,
  type TokenSourceOptions,
  type TokenSourceSnapshot,
} from '../credentials/token-source.ts'
import type { Token } from '../credentials/token.ts'
import { assertNotOpenInProcess, lockHolderOf } from '../file-locks.ts'
import { classifySqlError, mayBeRefusal } from '../sql-errors.ts'
import type { Attachment } from './attach.ts'
import type { UsedCredentials } from './database.ts'
import { loadExtension } from './load-extension.ts'
import { usedTokens, type UsedToken } from './used-tokens.ts'

export interface Attachments {
  /** There are some that only a lease can attach: `renew` does. */
  readonly needsLease: boolean
  /**
   * Attaches what needs no credentials, when the instance opens.
   * @throws MillraceError DATABASE, CONFIG; DuckDB's own error when another process holds a file.
   */
  open(connection: DuckDBConnection): Promise<void>
  /**
   * Attaches the others unless they are, with tokens that are good; asked for in the caller's own context. What runs goes on with
   * what it began with.
   * @throws MillraceError CREDENTIALS, CONFIG, DATABASE; ConnectionLost; the signal's reason.
   */
  renew(connection: DuckDBConnection, auth: AuthContext): Promise<UsedCredentials>
  /** How often a catalog has been attached; each time under another address. */
  times(name: string): number
  snapshot(): TokenSourceSnapshot[]
}

interface Kept {
  attachment: Attachment
  source: TokenSource | null
  isAttached: boolean
  /** What it was attached with; null before, and when it needs none. */
  token: Token | null
  times: number
}

export function createAttachments(attachments: readonly Attachment[], options: TokenSourceOptions): Attachments {
  const all = attachments.map((attachment): Kept => {
    const source = attachment.credential === null ? null : createTokenSource(attachment.credential, options)
    return { attachment, source, isAttached: false, token: null, times: 0 }
  })
  const [deferred, immediate] = [true, false].map((is) => all.filter((one) => one.attachment.isDeferred === is))
  let attaching: Promise<void> = Promise.resolve()

  /** One at a time: whoever comes second finds it done. */
  async function attachOnce(kept: Kept, token: Token | null, connection: DuckDBConnection): Promise<void> {
    const before = attaching
    const mine = (async () => {
      await before
      if (kept.isAttached && !takesAnother(kept, token)) return
      await attach(kept, token, connection)
    })()
    attaching = mine.catch(() => undefined)
    await mine
  }

  /** A token that was obtained for earlier work may have been replaced since: another one is tried once. */
  async function renewOne(
    kept: Kept,
    connection: DuckDBConnection,
    { auth, startedMs }: { auth: AuthContext; startedMs: number },
  ): Promise<Token | null> {
    const { source } = kept
    if (source === null) {
      await attachOnce(kept, null, connection)
      return null
    }
    const token = await source.get(auth)
    try {
      await attachOnce(kept, token, connection)
      return token
    } catch (error) {
      if (!mayBeRefusal(error) || token.obtainedAtMs >= startedMs) throw error
      source.refused(token)
      const newer = await source.get(auth)
      await attachOnce(kept, newer, connection)
      return newer
    }
  }

  return {
    needsLease: (deferred ?? []).length > 0,
    open: async (connection) => {
      for (const kept of immediate ?? []) await attach(kept, null, connection)
    },
    renew: async (connection, auth) => {
      const startedMs = Date.now()
      const used: UsedToken[] = []
      for (const kept of deferred ?? []) {
        const token = await renewOne(kept, connection, { auth, startedMs })
        if (kept.source !== null && token !== null) used.push({ source: kept.source, token })
      }
      return usedTokens(used, startedMs)
    },
    times: (name) => all.find((one) => one.attachment.name === name)?.times ?? 0,
    snapshot: () => all.flatMap(({ source }) => (source === null ? [] : [source.snapshot()])),
  }
}

/** A lease that comes late with an older token must not bring it back. */
function takesAnother({ attachment, token: before }: Kept, token: Token | null): boolean {
  if (!attachment.keepsToken || token === null || before === null) return false
  return token.value !== before.value && token.obtainedAtMs >= before.obtainedAtMs
}

async function attach(kept: Kept, token: Token | null, connection: DuckDBConnection): Promise<void> {
  const { attachment } = kept
  for (const file of attachment.files) assertNotOpenInProcess(canonicalPath(file))
  for (const folder of attachment.folders) mkdirSync(folder, { recursive: true })
  for (const name of attachment.extensions) await loadExtension(connection, { name, repository: null })
  kept.times += 1
  try {
    for (const sql of attachment.statements(token?.value ?? null, kept.times)) await connection.run(sql)
  } catch (error) {
    throw notAttached(error, attachment, token?.value ?? '')
  }
  kept.isAttached = true
  kept.token = token
}

/** DuckDB may repeat what it was told. Its own error is kept only where no secret was in that. */
function notAttached(error: unknown, { name, place }: Attachment, secret: string): unknown {
  // Whoever waits for the lock reads DuckDB's own text.
  if (lockHolderOf(error) !== null) return error
  const said = secret === '' ? error : new Error(withoutSecret(error, secret))
  const { kind, message, hint } = classifySqlError(said)
  const text = `the catalog '${name}' (${place}) cannot be attached: ${message}`
  if (kind === 'connection') return new ConnectionLost(text, said)
  if (message.includes('DATA_PATH parameter')) {
    return new MillraceError('CONFIG', text, {
      hint: 'A lake keeps the data_path that it was made with: write that one, or none.',
    })
  }
  return new MillraceError('DATABASE', text, { cause: said, ...(hint === null ? {} : { hint }) })
}

/** As it is, and as it stands in a literal. */
function withoutSecret(error: unknown, secret: string): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll(secret.replaceAll("'", "''"), '<secret>').replaceAll(secret, '<secret>')
}
