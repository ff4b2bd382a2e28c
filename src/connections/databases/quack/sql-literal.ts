/** Values as SQL text, for statements that are sent as text only. */
import {
  DuckDBArrayValue,
  DuckDBBitValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimeNSValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeTZValue,
  DuckDBTimeValue,
  DuckDBUnionValue,
  DuckDBUUIDValue,
  type DuckDBValue,
} from '@duckdb/node-api'
import { quoteIdentifier, quoteString } from '../../../sql/identifiers.ts'

/** An expression of the type that the value would have if it were bound. @throws TypeError for GEOMETRY and VARIANT. */
export function toSqlLiteral(value: DuckDBValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return numberLiteral(value)
  if (typeof value === 'bigint') return cast(String(value), 'HUGEINT')
  if (typeof value === 'string') return textLiteral(value)
  return nestedLiteral(value) ?? scalarLiteral(value)
}

type ObjectValue = Extract<DuckDBValue, object>

const LARGEST_INTEGER = 2 ** 31 - 1
const LARGEST_BIGINT = 2 ** 63

function numberLiteral(value: number): string {
  if (!Number.isInteger(value) || Math.abs(value) >= LARGEST_BIGINT) return cast(String(value), 'DOUBLE')
  const isSmall = value >= -LARGEST_INTEGER - 1 && value <= LARGEST_INTEGER
  return cast(String(BigInt(value)), isSmall ? 'INTEGER' : 'BIGINT')
}

/** A NUL would end the statement. */
function textLiteral(text: string): string {
  return `CAST(${text.split('\0').map(quoteString).join(' || chr(0) || ')} AS VARCHAR)`
}

function nestedLiteral(value: ObjectValue): string | null {
  if (value instanceof DuckDBListValue) return list(value.items)
  if (value instanceof DuckDBArrayValue) return `array_value(${value.items.map(toSqlLiteral).join(', ')})`
  if (value instanceof DuckDBStructValue) return `struct_pack(${named(Object.entries(value.entries))})`
  if (value instanceof DuckDBUnionValue) return `union_value(${named([[value.tag, value.value]])})`
  if (!(value instanceof DuckDBMapValue)) return null
  return `MAP(${list(value.entries.map(({ key }) => key))}, ${list(value.entries.map((entry) => entry.value))})`
}

function scalarLiteral(value: ObjectValue): string {
  if (value instanceof DuckDBBlobValue) return `from_hex('${Buffer.from(value.bytes).toString('hex')}')`
  if (value instanceof DuckDBDecimalValue) return cast(value.toString(), `DECIMAL(${value.width}, ${value.scale})`)
  if (value instanceof DuckDBDateValue) return cast(finite(value, value.days), 'DATE')
  if (value instanceof DuckDBTimestampValue) return cast(finite(value, value.micros), 'TIMESTAMP')
  if (value instanceof DuckDBTimestampTZValue) {
    // Its own text is in the machine's zone.
    const { micros, isFinite } = value
    return cast(`${finite(new DuckDBTimestampValue(micros), micros)}${isFinite ? '+00' : ''}`, 'TIMESTAMPTZ')
  }
  if (value instanceof DuckDBTimestampSecondsValue) return cast(finite(value, value.seconds), 'TIMESTAMP_S')
  if (value instanceof DuckDBTimestampMillisecondsValue) return cast(finite(value, value.millis), 'TIMESTAMP_MS')
  if (value instanceof DuckDBTimestampNanosecondsValue) return cast(finite(value, value.nanos), 'TIMESTAMP_NS')
  const type = TEXT_TYPES.find(([kind]) => value instanceof kind)?.[1]
  if (type === undefined) throw new TypeError(`a ${value.constructor.name} cannot be written as SQL`)
  return cast(value.toString(), type)
}

/** Types whose own text is what a cast reads. */
const TEXT_TYPES = [
  [DuckDBBitValue, 'BIT'],
  [DuckDBIntervalValue, 'INTERVAL'],
  [DuckDBTimeValue, 'TIME'],
  [DuckDBTimeTZValue, 'TIMETZ'],
  [DuckDBTimeNSValue, 'TIME_NS'],
  [DuckDBUUIDValue, 'UUID'],
] as const

function finite(value: { isFinite: boolean; toString(): string }, since1970: number | bigint): string {
  if (value.isFinite) return value.toString()
  return since1970 > 0 ? 'infinity' : '-infinity'
}

function list(items: readonly DuckDBValue[]): string {
  return `[${items.map(toSqlLiteral).join(', ')}]`
}

function named(entries: readonly (readonly [string, DuckDBValue])[]): string {
  return entries.map(([name, value]) => `${quoteIdentifier(name)} := ${toSqlLiteral(value)}`).join(', ')
}

function cast(text: string, type: string): string {
  return `CAST(${quoteString(text)} AS ${type})`
}
