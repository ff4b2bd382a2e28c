/** Values of config.yaml as they are meant: errors name the key, what was expected and what came, never a secret. */
import { MillraceError, nearest } from '../../errors.ts'
import { withoutSecrets } from './secret-text.ts'

export type Data = Readonly<Record<string, unknown>>

/** The hint for a misspelled name; nothing when no known name is near. */
export function suggestion(name: string, known: Iterable<string>): { hint?: string } {
  const near = nearest(name, known)
  return near === null ? {} : { hint: `Did you mean '${near}'?` }
}

/** @param key the value's place, e.g. `connection.pool.writers`. */
export function wrongValue(key: string, expected: string, got: unknown): MillraceError {
  return new MillraceError('CONFIG', `${key}: expected ${expected}; got ${describeValue(got)}`)
}

/** The same without the value: for places where text may be a secret. */
export function wrongType(key: string, expected: string, got: unknown): MillraceError {
  return new MillraceError(
    'CONFIG',
    `${key}: expected ${expected}; got ${typeof got === 'string' ? 'text' : describeValue(got)}`,
  )
}

/** @throws MillraceError CONFIG when a key is none of `known`; they are listed. */
export function assertKnownKeys(given: Data, known: readonly string[], { key, of }: { key: string; of: string }): void {
  const unknown = Object.keys(given).filter((name) => !known.includes(name))
  const [first] = unknown
  if (first === undefined) return
  throw new MillraceError(
    'CONFIG',
    `${key}: ${of} has no key ${unknown.map((name) => `'${name}'`).join(', ')}; the known keys are ${known.join(', ')}`,
    suggestion(first, known),
  )
}

/** Text that is not empty; numbers are taken as written. */
export function readText(value: unknown, key: string): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'string' && value.trim() !== '') return value
  throw wrongValue(key, 'text', value)
}

/** `true`, `TRUE`, `'true'`, `1` and `'1'` are one value; so are those of `false`. */
export function readBoolean(value: unknown, key: string): boolean {
  const text = (isScalar(value) ? String(value) : '').trim().toLowerCase()
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw wrongValue(key, 'true or false', value)
}

/** A whole number, as a number or as text. */
export function readInteger(value: unknown, key: string, { min, max }: { min: number; max: number }): number {
  const written = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof written === 'number' && Number.isInteger(written) && written >= min && written <= max) return written
  throw wrongValue(key, `a whole number from ${min} to ${max}`, value)
}

/** One of `choices`, in any case. */
export function readChoice<T extends string>(value: unknown, key: string, choices: readonly T[]): T {
  const name = typeof value === 'string' ? value.trim().toLowerCase() : ''
  const chosen = choices.find((choice) => choice === name)
  if (chosen !== undefined) return chosen
  throw new MillraceError(
    'CONFIG',
    `${key}: expected one of ${choices.join(', ')}; got ${describeValue(value)}`,
    suggestion(name, choices),
  )
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `30s`, `5m`, `1h`, `500ms`, `2d`; a number without a unit is seconds. */
export function readDurationMs(value: unknown, key: string): number {
  const text = isScalar(value) ? String(value).trim() : ''
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/i.exec(text) ?? []
  const ms = Number(amount) * (UNIT_MS[unit?.toLowerCase() ?? 's'] ?? Number.NaN)
  if (Number.isSafeInteger(ms)) return ms
  throw wrongValue(key, "a duration such as '30s', '5m' or '1h'", value)
}

/** A mapping, or the text of one in JSON, as environment variables bring it. Keys without a value are left out. */
export function readMapping(value: unknown, key: string): Data {
  const data = fromJson(value)
  // Text is not shown: it may be a secret in the wrong place.
  if (!isData(data)) throw wrongType(key, 'a mapping', value)
  return Object.fromEntries(Object.entries(data).filter(([, item]) => item !== null && item !== undefined))
}

/** A mapping or a list written as JSON text → itself; anything else stays. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}

export function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isScalar(value: unknown): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
}

/** Longest text that a message shows of a value. */
const SHOWN_LENGTH = 80

function describeValue(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value !== 'string') return isScalar(value) ? String(value) : `a ${typeof value}`
  const text = withoutSecrets(value)
  return `'${text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text}'`
}
