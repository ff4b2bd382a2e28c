/** The one place that says what a database's error means. DuckDB gives text only. */
import { MillraceError } from '../errors.ts'
import { CommitOutcomeUnknown } from './commit-outcome-unknown.ts'
import { ConnectionLost } from './connection-lost.ts'
import { CredentialRefused } from './credential-refused.ts'

export type SqlErrorKind =
  | 'parser'
  | 'binder'
  | 'catalog'
  | 'constraint'
  | 'conversion'
  | 'conflict'
  | 'io'
  | 'lock'
  | 'out_of_memory'
  | 'interrupt'
  | 'invalid_input'
  | 'internal'
  | 'fatal'
  | 'connection'
  | 'auth'
  | 'other'

/** Where in the statement; lines and columns count from 1. */
export interface SqlErrorPosition {
  line: number
  /** Null when DuckDB shows a part of a long line only. */
  column: number | null
  /** The line as DuckDB shows it. */
  text: string
}

export interface SqlError {
  kind: SqlErrorKind
  /** The same work may succeed when it is tried again. */
  retryable: boolean
  /** One line. */
  message: string
  hint: string | null
  position?: SqlErrorPosition
}

/** Whether a server may have refused a credential: httpfs of DuckDB 1.5 shows a 401 or 403 as `HTTP 0`, like many another answer. */
export function mayBeRefusal(error: unknown): boolean {
  // One that could not be opened keeps what DuckDB said.
  const said = error instanceof MillraceError && error.code === 'DATABASE' ? error.cause : error
  const { kind, message } = classifySqlError(said)
  return kind === 'auth' || HIDDEN_ANSWER.test(message)
}

/** Any error, also one that no database threw (`other`). */
export function classifySqlError(error: unknown): SqlError {
  if (error instanceof CommitOutcomeUnknown)
    return { ...classifySqlError(error.cause), message: error.message, retryable: true }
  if (error instanceof ConnectionLost)
    return { kind: 'connection', retryable: true, message: error.message, hint: null }
  if (error instanceof CredentialRefused) {
    return { ...classifySqlError(error.cause), message: error.message, retryable: true }
  }
  if (error instanceof MillraceError) return classifyOwn(error)
  const said = error instanceof Error ? error.message : String(error)
  const text = said.startsWith(NOT_EXTRACTED) ? said.slice(NOT_EXTRACTED.length) : said
  const kind = kindOf(text)
  const position = positionIn(text)
  return {
    kind,
    retryable: isRetryable(kind, text),
    message: firstLine(text),
    hint: hintOf(kind, text),
    ...(position === null ? {} : { position }),
  }
}

/** What the client puts before a parser's error in a statement that has values. */
const NOT_EXTRACTED = 'Failed to extract statements: '

const KINDS: Record<string, SqlErrorKind> = {
  parser: 'parser',
  syntax: 'parser',
  binder: 'binder',
  catalog: 'catalog',
  dependency: 'catalog',
  constraint: 'constraint',
  conversion: 'conversion',
  'out of range': 'conversion',
  'mismatch type': 'conversion',
  io: 'io',
  http: 'io',
  'out of memory': 'out_of_memory',
  interrupt: 'interrupt',
  'invalid input': 'invalid_input',
  'invalid type': 'invalid_input',
  'not implemented': 'invalid_input',
  'parameter not resolved': 'invalid_input',
  'parameter not allowed': 'invalid_input',
  connection: 'connection',
  internal: 'internal',
  fatal: 'fatal',
}

/** Errors of files and networks that are the same at the next attempt. */
const LASTING_IO =
  /No space left|disk full|File too large|No files found that match|No such file|Permission denied|Is a directory|not a valid DuckDB|Corrupt|Extension "|Failed to download extension|read-only|\b40[0134]\b/i

function classifyOwn(error: MillraceError): SqlError {
  const { message, hint } = error
  if (error.code === 'DATABASE_LOCKED') return { kind: 'lock', retryable: true, message, hint }
  if (error.code === 'CREDENTIALS') return { kind: 'auth', retryable: true, message, hint }
  if (error.code === 'LEASE_TIMEOUT') return { kind: 'connection', retryable: true, message, hint }
  return { kind: 'other', retryable: false, message, hint }
}

const HIDDEN_ANSWER = /^HTTP Error: .*\(HTTP 0 /

/** A server that does not let us in, in its own words or in HTTP's. */
const REFUSED =
  /\b40[13]\b|Authentication fail|not authenticated|Unauthorized|Forbidden|Jwt is expired|ExpiredToken|InvalidAccessKeyId/i

const CONNECTION =
  /connection (disconnected|closed)|Failed to connect|Could not establish connection|Unable to connect to Postgres(?!.*(?:does not exist|no pg_hba))|server closed the connection unexpectedly|terminating connection/is

const LAKE_CONFLICT =
  /database is locked|Transaction conflict|Exceeded the maximum retry count|could not serialize access|deadlock detected|due to lock timeout/

function kindOf(text: string): SqlErrorKind {
  if (/^(HTTP|IO|Invalid Input|Connection) Error:/.test(text) && REFUSED.test(text)) return 'auth'
  if (text.includes('database has been invalidated')) return 'fatal'
  if (text.includes('Could not set lock on file')) return 'lock'
  // A lake keeps its tables in a database that has conflicts of its own.
  if (LAKE_CONFLICT.test(text)) return 'conflict'
  if (CONNECTION.test(text)) return 'connection'
  const prefix = /^([A-Za-z ]+?) Error:/.exec(text)?.[1]?.toLowerCase()
  if (prefix === 'transactioncontext' || prefix === 'transaction') return kindOfTransaction(text)
  return prefix === undefined ? 'other' : (KINDS[prefix] ?? 'other')
}

/** What is wrong with a transaction as a whole: somebody else's writes, or a commit that could not be stored. */
function kindOfTransaction(text: string): SqlErrorKind {
  if (/Could not (write|read|sync|fsync|open)|No space left|File too large/i.test(text)) return 'io'
  if (/conflict|duplicate key|other (write )?transactions active/i.test(text)) return 'conflict'
  return 'other'
}

function isRetryable(kind: SqlErrorKind, text: string): boolean {
  if (kind === 'io') return !LASTING_IO.test(text)
  return kind === 'conflict' || kind === 'lock' || kind === 'fatal' || kind === 'connection' || kind === 'interrupt'
}

function hintOf(kind: SqlErrorKind, text: string): string | null {
  if (kind === 'out_of_memory') {
    return 'Raise memory_limit in connector_config, lower threads or concurrent_tasks, or point temp_directory at a larger disk.'
  }
  if (kind === 'auth') return 'Check the credentials of the connection and of its secrets.'
  if (HIDDEN_ANSWER.test(text)) {
    return 'DuckDB does not say what the server answered; it may have refused: check the credentials in the secrets of the connection.'
  }
  if (/No space left|disk full|File too large/i.test(text)) {
    return 'Free space on the disk of the database and of temp_directory.'
  }
  if (/Extension Autoloading|Failed to download extension|Extension "/.test(text)) {
    return 'Put the extension into extension_directory, or let this machine reach the extension repository.'
  }
  const own = text.split('\n').map((line) => line.trim())
  return own.find((line) => /^(Did you mean|Candidate (bindings|tables|functions)?:? ?".)/.test(line)) ?? null
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n', 1)
  // Catalog conflicts name an object as "Schema\0main\0main\0Table\0main\0orders".
  return line.replaceAll(/"([^"]*\\0[^"]*)"/g, (_, key: string) => `"${key.split('\\0').slice(-2).join('.')}"`).trim()
}

function positionIn(text: string): SqlErrorPosition | null {
  const found = /^LINE (\d+): (.*)(?:\n( *)\^)?/m.exec(text)
  if (found === null) return null
  const [, number = '', shown = '', indent] = found
  const prefix = `LINE ${number}: `.length
  const exact = indent !== undefined && !shown.startsWith('...')
  return { line: Number(number), column: exact ? indent.length - prefix + 1 : null, text: shown }
}
