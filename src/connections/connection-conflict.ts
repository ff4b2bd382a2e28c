/** One database, asked for with two configurations. */
import { MillraceError } from '../errors.ts'
import type { ConnectionConfig } from './config.ts'
import { canonicalConfig } from './connection-key.ts'

/** Shows each differing setting: as it is in use, and as it was asked for. */
export function connectionConflict(database: string, inUse: ConnectionConfig, asked: ConnectionConfig): MillraceError {
  const before = flatten(canonicalConfig(inUse))
  const after = flatten(canonicalConfig(asked))
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  const differing = names
    .filter((name) => before.get(name) !== after.get(name))
    .map((name) => `${name} is ${before.get(name) ?? 'not set'} in use and ${after.get(name) ?? 'not set'} here`)
  return new MillraceError(
    'CONNECTION_CONFLICT',
    `${database} is in use with another configuration: ${differing.join('; ')}`,
    { hint: 'One process opens a database once: give every gateway that names it the same settings.' },
  )
}

function flatten(value: unknown, name = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, item] of Object.entries(value)) flatten(item, name === '' ? key : `${name}.${key}`, into)
  } else if (value !== null) into.set(name, JSON.stringify(value))
  return into
}
