/** `connector_config`: DuckDB's settings, in one spelling. */
import { MillraceError } from '../../errors.ts'
import { canonicalPath } from '../canonical-path.ts'
import { readMapping, wrongValue, type Data } from './read-value.ts'
import { resolvePath, type ConnectionContext } from './resolve-path.ts'
import { BOOLEAN_SETTINGS, CHOICE_SETTINGS, FOLDER_SETTINGS, SETTING_ALIASES, SIZE_SETTINGS } from './setting-names.ts'

export type Settings = Readonly<Record<string, string>>

/** The mapping as written, by name in lower case. @throws MillraceError CONFIG for a setting that is written twice. */
export function readSettings(value: unknown, key: string): Data {
  const settings = new Map<string, unknown>()
  for (const [written, setting] of Object.entries(readMapping(value ?? {}, key))) {
    const lower = written.trim().toLowerCase()
    const name = SETTING_ALIASES.get(lower) ?? lower
    if (settings.has(name) && settings.get(name) !== setting) {
      throw new MillraceError('CONFIG', `${key}: expected each setting once; '${written}' is '${name}' again`)
    }
    settings.set(name, setting)
  }
  return Object.fromEntries(settings)
}

/** Settings as text, values as written; folders are absolute. @throws MillraceError CONFIG */
export function toSettings(values: Data, key: string, context: ConnectionContext): Settings {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
        const { message } = wrongValue(`${key}.${name}`, 'text, a number, true or false', value)
        throw new MillraceError('CONFIG', message, { hint: 'Credentials belong into secrets.' })
      }
      return [name, FOLDER_SETTINGS.has(name) ? resolvePath(String(value), context) : String(value)]
    }),
  )
}

/** What sessions and instances have when nothing is written. */
const DEFAULTS: ReadonlyMap<string, string> = new Map([
  ['timezone', 'utc'],
  ['access_mode', 'automatic'],
])

/** Equal for equal meanings: `4 gb` and `4GB`, `TRUE` and `1`; what is the default anyway is left out. */
export function canonicalSettings(settings: Settings): Settings {
  return Object.fromEntries(
    Object.entries(settings)
      .map(([name, value]) => [name, canonicalSetting(name, value)] as const)
      .filter(([name, value]) => DEFAULTS.get(name) !== value.toLowerCase()),
  )
}

function canonicalSetting(name: string, value: string): string {
  const text = value.trim()
  if (SIZE_SETTINGS.has(name)) return canonicalSize(text)
  if (FOLDER_SETTINGS.has(name)) return canonicalPath(value)
  if (CHOICE_SETTINGS.has(name)) return text.toLowerCase().replaceAll(' ', '_')
  if (!BOOLEAN_SETTINGS.has(name)) return value
  if (/^(?:true|t|1)$/i.test(text)) return 'true'
  return /^(?:false|f|0)$/i.test(text) ? 'false' : text.toLowerCase()
}

const BYTES: Readonly<Record<string, number>> = {
  tib: 1024 ** 4,
  tb: 1e12,
  gib: 1024 ** 3,
  gb: 1e9,
  mib: 1024 ** 2,
  mb: 1e6,
  kib: 1024,
  kb: 1000,
}

/** `4000mb`, `4 gb` → `4GB`: the largest unit that leaves a whole number. Text that is no size stays. */
function canonicalSize(text: string): string {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]i?b)$/i.exec(text) ?? []
  const bytes = Number(amount) * (BYTES[unit.toLowerCase()] ?? Number.NaN)
  if (!Number.isSafeInteger(bytes)) return text.toLowerCase()
  const [name, factor] = Object.entries(BYTES).find(([, size]) => bytes > 0 && bytes % size === 0) ?? ['b', 1]
  return `${bytes / factor}${name.toUpperCase()}`
}
