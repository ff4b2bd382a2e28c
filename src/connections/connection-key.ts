/** A configuration as one string: equal for equal meanings, without secrets. */
import { canonicalPath } from './canonical-path.ts'
import type { ConnectionConfig } from './config.ts'

/**
 * Deep and order-insensitive; defaults are filled in, the file's path is its real one (of its folder when the file does not
 * exist yet). A secret is left out; what it is known by (a variable's name, a file, a client) stays. Never throws.
 */
export function connectionKey(config: ConnectionConfig): string {
  return JSON.stringify(canonicalConfig(config))
}

/** What the key is made of, for showing how two configurations differ. */
export function canonicalConfig(config: ConnectionConfig): Record<string, unknown> {
  return {
    type: config.type,
    ...place(config),
    concurrent_tasks: config.concurrentTasks,
    connector_config: canonical(config.settings),
    extensions: config.extensions
      .map(({ name, repository }) => `${name}${repository === null ? '' : ` ${repository}`}`)
      .sort(),
    extension_directory: config.extensionDirectory === null ? null : canonicalPath(config.extensionDirectory),
    catalogs: canonical(config.catalogs),
    secrets: canonical(config.secrets),
    pool: canonical(config.pool),
  }
}

const SECRET = '<secret>'

/** Names whose text is a secret; `token_url` and the like are not, `secrets` is a list of connections' secrets. */
const SECRET_NAME =
  /(^|_)(token|secret|password|passwd|passphrase|connection_string|private_key|access_key|secret_key|api_key)$/i
const SECRET_IN_TEXT = /((?:token|password|passwd|secret)=)[^\s&;,']+/gi

/** A file belongs to whoever names it; a database in memory to its project; the rest to its own keys. */
function place(config: ConnectionConfig): Record<string, unknown> {
  if (config.type !== 'duckdb') return { options: canonical(config.options) }
  if (config.database !== null) return { database: canonicalPath(config.database) }
  return { database: ':memory:', project: canonicalPath(config.root) }
}

function canonical(value: unknown, name = '', above: readonly object[] = []): unknown {
  if (typeof value === 'string')
    return SECRET_NAME.test(name) ? SECRET : value.replaceAll(SECRET_IN_TEXT, `$1${SECRET}`)
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'function') return `<function ${value.name}>`
  if (typeof value !== 'object' || value === null) return value ?? null
  // A structure that contains itself says nothing more below that point.
  if (above.includes(value)) return '<circular>'
  const within = [...above, value]
  if (Array.isArray(value)) return value.map((item: unknown) => canonical(item, name, within))
  if (value instanceof Date) return String(value.getTime())
  const names = Object.keys(value).sort()
  return Object.fromEntries(names.map((key) => [key, canonical(Reflect.get(value, key), key, within)]))
}
