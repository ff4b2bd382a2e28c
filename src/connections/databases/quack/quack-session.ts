/** What a new session on a Quack server is told before anything else. */
import { MillraceError } from '../../../errors.ts'
import { quoteIdentifier, quoteString } from '../../../sql/identifiers.ts'
import type { ExtensionConfig } from '../../config/extensions.ts'
import { ConnectionLost } from '../../connection-lost.ts'
import { queryServer, type QuackSession } from './quack-channel.ts'
import { TYPED_ERRORS } from './quack-errors.ts'
import { classifySqlError } from '../../sql-errors.ts'

export interface SessionPreparation {
  /** DuckDB settings as text, names in lower case; UTC unless they say otherwise. */
  settings: Readonly<Record<string, string>>
  /** Loaded on the server. */
  extensions: readonly ExtensionConfig[]
  /** What unqualified names mean; null for the database that the server was started with. */
  database: string | null
}

/**
 * In one message, since a server may be far away.
 * @returns the name of the session's database. @throws MillraceError CONFIG, DATABASE; ConnectionLost.
 */
export async function prepareQuackSession(session: QuackSession, preparation: SessionPreparation): Promise<string> {
  const steps = stepsOf(preparation)
  const all = [...steps.map(({ sql }) => sql), 'SELECT current_database()'].join(';\n')
  try {
    const reader = await queryServer(session, all)
    return String(reader.value(0, 0))
  } catch (error) {
    if (error instanceof ConnectionLost) throw error
    throw await culpritOf(session, steps, error)
  }
}

interface Step {
  sql: string
  /** Where it stands in the configuration; null when it does not. */
  key: string | null
}

function stepsOf({ settings, extensions, database }: SessionPreparation): Step[] {
  return [
    { sql: TYPED_ERRORS, key: null },
    ...extensions.map(({ name }) => ({ sql: `LOAD ${quoteIdentifier(name)}`, key: 'extensions' })),
    ...Object.entries({ timezone: 'UTC', ...settings }).map(([name, value]) => ({
      sql: `SET SESSION ${quoteIdentifier(name)} = ${quoteString(value)}`,
      key: `connector_config.${name}`,
    })),
    // With its schema: a schema of the same name would make the database's alone ambiguous.
    ...(database === null ? [] : [{ sql: `USE ${quoteIdentifier(database)}."main"`, key: 'database' }]),
  ]
}

/** Each once more, by itself: what the server said does not tell which one it was. */
async function culpritOf(session: QuackSession, steps: readonly Step[], together: unknown): Promise<unknown> {
  for (const { sql, key } of steps) {
    try {
      await queryServer(session, sql)
    } catch (error) {
      return error instanceof ConnectionLost ? error : notPrepared(session.server, key, error)
    }
  }
  return notPrepared(session.server, null, together)
}

function notPrepared(server: string, key: string | null, error: unknown): MillraceError {
  const { message, hint } = classifySqlError(error)
  if (key === null) {
    return new MillraceError('DATABASE', `${server} refuses what every session begins with: ${message}`, {
      cause: error,
    })
  }
  const forAll = message.includes('cannot be set locally') ? 'It belongs to the whole server: set it there.' : hint
  return new MillraceError('CONFIG', `connection.${key}: ${server} says ${message}`, {
    cause: error,
    ...(forAll === null ? {} : { hint: forAll }),
  })
}
