/** `extensions`: what is loaded when a database opens. */
import { MillraceError } from '../../errors.ts'
import { assertKnownKeys, fromJson, readBoolean, readMapping, readText, wrongValue, type Data } from './read-value.ts'

export interface ExtensionConfig {
  /** DuckDB's own name of it, in lower case. */
  name: string
  /** Where to install it from; null for DuckDB's own repository. */
  repository: string | null
}

/** @param raw names, or mappings with `name` and `repository`. @throws MillraceError CONFIG */
export function parseExtensions(raw: unknown, key: string): readonly ExtensionConfig[] {
  const written = fromJson(raw)
  if (written === undefined) return []
  if (!Array.isArray(written)) throw wrongValue(key, 'a list of extensions', raw)
  const extensions = new Map<string, ExtensionConfig>()
  for (const [index, item] of written.entries()) {
    const extension = parseExtension(item, `${key}[${index}]`)
    const before = extensions.get(extension.name)
    if (before !== undefined && before.repository !== extension.repository) {
      throw new MillraceError('CONFIG', `${key}: expected '${extension.name}' from one repository; got two`)
    }
    extensions.set(extension.name, extension)
  }
  return [...extensions.values()]
}

/** The order in which they are loaded means nothing. */
export function canonicalExtensions(extensions: readonly ExtensionConfig[]): string[] {
  return extensions.map(({ name, repository }) => `${name}${repository === null ? '' : ` ${repository}`}`).sort()
}

/** DuckDB's second names of extensions. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    http: 'httpfs',
    https: 'httpfs',
    md: 'motherduck',
    mysql: 'mysql_scanner',
    postgres: 'postgres_scanner',
    s3: 'httpfs',
    sqlite: 'sqlite_scanner',
    sqlite3: 'sqlite_scanner',
  }),
)

const KEYS = ['name', 'repository', 'force_install']

function parseExtension(raw: unknown, key: string): ExtensionConfig {
  const given: Data = typeof raw === 'string' ? { name: raw } : readMapping(raw, key)
  assertKnownKeys(given, KEYS, { key, of: 'an extension' })
  const { name, repository, force_install: force } = given
  // SQLMesh installs anew at each start; here an extension that is there is used.
  if (force !== undefined) readBoolean(force, `${key}.force_install`)
  const lower = readText(name ?? null, `${key}.name`)
    .trim()
    .toLowerCase()
  const source = repository === undefined ? 'core' : readText(repository, `${key}.repository`).trim()
  return { name: ALIASES.get(lower) ?? lower, repository: source.toLowerCase() === 'core' ? null : source }
}
