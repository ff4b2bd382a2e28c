/** Loads an extension: from `extension_directory` where it is, else from its repository. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { MillraceError } from '../../errors.ts'
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import type { ExtensionConfig } from '../config/extensions.ts'
import { ConnectionLost } from '../connection-lost.ts'
import { classifySqlError } from '../sql-errors.ts'

/** @throws MillraceError DATABASE; ConnectionLost when it is there and its own service cannot be reached. */
export async function loadExtension(
  connection: DuckDBConnection,
  { name, repository }: ExtensionConfig,
): Promise<void> {
  try {
    await connection.run(`LOAD ${quoteIdentifier(name)}`)
  } catch (error) {
    const { kind, message } = classifySqlError(error)
    // One that is not there is asked for again below, from where the configuration says.
    if (kind === 'connection' && !message.includes('download extension')) throw notReached(name, error)
    const from = repository === null ? '' : ` FROM ${quoteString(repository)}`
    try {
      await connection.run(`INSTALL ${quoteIdentifier(name)}${from}; LOAD ${quoteIdentifier(name)}`)
    } catch (second) {
      throw notLoaded(name, second)
    }
  }
}

/** MotherDuck's asks its service when it is loaded. */
function notReached(name: string, error: unknown): ConnectionLost {
  return new ConnectionLost(
    `the service of the extension '${name}' cannot be reached: ${classifySqlError(error).message}`,
    error,
  )
}

function notLoaded(name: string, error: unknown): MillraceError {
  return new MillraceError('DATABASE', `the extension '${name}' cannot be loaded: ${classifySqlError(error).message}`, {
    hint: 'Put it into extension_directory, or let this machine reach the extension repository.',
    cause: error,
  })
}
