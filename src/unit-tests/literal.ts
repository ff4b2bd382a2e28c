/** Values of a test's YAML as SQL, and the types they have on their own. Pure. */
import { PlainTime, type TestRow, type TestValue } from '../project/unit-tests/unit-test.ts'
import { quoteString } from '../sql/identifiers.ts'

/** @param type of the column it is for; null where it is not known. */
export function toLiteral(value: TestValue, type: string | null): string {
  if (value === null || Number.isNaN(value)) return 'NULL'
  if (typeof value === 'string') return quoteString(value)
  if (value instanceof PlainTime)
    return type === null ? `${value.type} ${quoteString(value.text)}` : quoteString(value.text)
  if (value === Infinity || value === -Infinity) return `'${value > 0 ? '' : '-'}infinity'::DOUBLE`
  if (typeof value !== 'object') return String(value)
  if (type !== null && /^json$/i.test(type)) return quoteString(JSON.stringify(value, plainJson))
  if (Array.isArray(value)) return `[${value.map((item) => toLiteral(item, null)).join(', ')}]`
  const entries = Object.entries(value)
  const isMap = entries.length === 0 || (type !== null && /^map\b/i.test(type))
  const pairs = entries.map(([key, item]) => `${quoteString(key)}: ${toLiteral(item, null)}`)
  return `${isMap ? 'MAP ' : ''}{${pairs.join(', ')}}`
}

function plainJson(_: string, value: unknown): unknown {
  if (value instanceof PlainTime) return value.text
  return typeof value === 'bigint' ? Number(value) : value
}

/** The type of a column by its values; null where they do not tell: lists, mappings, nothing at all. */
export function typeOfColumn(rows: readonly TestRow[], column: string): string | null {
  const types = new Set(rows.map((row) => typeOf(row[column] ?? null)).filter((type) => type !== null))
  if (types.has('NESTED')) return null
  for (const [wide, narrow] of WIDER) if (types.has(wide) && types.has(narrow)) types.delete(narrow)
  const [only] = types
  if (types.size > 1) return 'VARCHAR'
  return only ?? null
}

/** A column with both has the first. */
const WIDER = [
  ['HUGEINT', 'BIGINT'],
  ['DOUBLE', 'BIGINT'],
  ['DOUBLE', 'HUGEINT'],
  ['TIMESTAMP', 'DATE'],
  ['TIMESTAMPTZ', 'TIMESTAMP'],
  ['TIMESTAMPTZ', 'DATE'],
] as const

function typeOf(value: TestValue): string | null {
  if (value === null || Number.isNaN(value)) return null
  if (typeof value === 'string') return 'VARCHAR'
  if (typeof value === 'boolean') return 'BOOLEAN'
  if (typeof value === 'bigint') return 'HUGEINT'
  if (typeof value === 'number') return Number.isInteger(value) ? 'BIGINT' : 'DOUBLE'
  return value instanceof PlainTime ? value.type : 'NESTED'
}
