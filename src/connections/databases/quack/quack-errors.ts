/** What a Quack server says of a statement → the error that DuckDB itself would have thrown. */
import { ConnectionLost } from '../../connection-lost.ts'

/** Text as it was sent to the server. */
export interface SentText {
  /** The caller's own part of it. */
  sql: string
  /** Where that starts, in bytes. */
  offset: number
}

/**
 * Set by every session: a server answers with the bare message otherwise, without saying what kind of error it is, nor which of
 * several statements it means.
 */
export const TYPED_ERRORS = 'SET SESSION errors_as_json = true'

/** The text had no statement in it; DuckDB does nothing then, and the server says so. */
export function isNoStatement(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith(NO_STATEMENT)
}

const NO_STATEMENT = 'Invalid Input Error: Query did not return any columns\n'

/** @param server its name, for messages. */
export function toServerError(error: unknown, server: string, sent: SentText): unknown {
  if (!(error instanceof Error)) return error
  const [line = ''] = error.message.split('\n', 1)
  const lost = lostReason(line)
  if (lost !== null) return new ConnectionLost(`${server} cannot be reached: ${lost}`, error)
  const said = typedError(line)
  if (said === null) return new Error(withoutOwnStatement(error.message))
  return new Error(`${said.type} Error: ${said.message}${placeOf(said.position, sent)}`)
}

/** Why the session is of no use any more; null when it is. */
function lostReason(line: string): string | null {
  const transport = /^IO Error: Failed to send message: (?:IO Error: )?(.*)$/.exec(line)
  if (transport !== null) {
    const [, reason = ''] = transport
    return reason.startsWith('SSL connect error')
      ? `${reason}; one that speaks plain HTTP needs disable_ssl: true`
      : reason
  }
  // One that was restarted knows nothing of its sessions.
  return line === 'Invalid Input Error: Invalid connection id' ? 'it has been restarted, the session is gone' : null
}

interface TypedError {
  type: string
  message: string
  /** In bytes, from the start of what was sent. */
  position: number | null
}

function typedError(line: string): TypedError | null {
  const json = /^Invalid Input Error: (\{"exception_type".*\})$/.exec(line)?.[1]
  if (json === undefined) return null
  try {
    const {
      exception_type: type,
      exception_message: message,
      position,
    } = JSON.parse(json) as Readonly<Record<string, unknown>>
    if (typeof type !== 'string' || typeof message !== 'string') return null
    return { type, message, position: typeof position === 'string' ? Number(position) : null }
  } catch {
    return null
  }
}

/** DuckDB shows the statement it was given, which is the one that carries the caller's. */
function withoutOwnStatement(text: string): string {
  return text.replace(/\n+LINE 1: FROM quack_query_by_name\(\$1, \$2\)\n *\^\s*$/, '')
}

/** Characters of a long line before and behind the place. */
const SHOWN_BEFORE = 500
const SHOWN_BEHIND = 40

/** `LINE 2: FROM nope`, and a caret below the place, as DuckDB writes it. */
function placeOf(position: number | null, { sql, offset }: SentText): string {
  if (position === null || position < offset) return ''
  const bytes = Buffer.from(sql)
  const at = position - offset
  if (at > bytes.length) return ''
  const before = bytes.toString('utf8', 0, at).split('\n')
  const indent = before.at(-1)?.length ?? 0
  const line = sql.split('\n')[before.length - 1] ?? ''
  const from = indent > SHOWN_BEFORE ? indent - SHOWN_BEHIND : 0
  const to = indent + SHOWN_BEHIND
  const shown = `${from > 0 ? '...' : ''}${line.slice(from, to)}${line.length > to ? '...' : ''}`
  const prefix = `LINE ${before.length}: `
  return `\n\n${prefix}${shown}\n${' '.repeat(prefix.length + indent - from + (from > 0 ? 3 : 0))}^`
}
