/** DuckDB's values as JSON. */
import {
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  JsonDuckDBValueConverter,
  type DuckDBResultReader,
  type DuckDBValueConverter,
  type Json,
} from '@duckdb/node-api'

export type JsonValue = Json

/**
 * Rows as objects. Integers of any width are numbers as long as a number holds them exactly, else text; DECIMAL, DATE, TIME,
 * TIMESTAMP, UUID, BLOB are text as DuckDB prints them; TIMESTAMPTZ is text in UTC (`… +00`), whatever the machine's zone;
 * NaN and infinities are text; LIST is an array, STRUCT an object, MAP an array of `{ key, value }`.
 */
export function toJsonRows(reader: DuckDBResultReader): Record<string, JsonValue>[] {
  return reader.convertRowObjects(toJson)
}

const toJson: DuckDBValueConverter<Json> = (value, type, converter) => {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  if (value instanceof DuckDBTimestampTZValue) return `${new DuckDBTimestampValue(value.micros).toString()}+00`
  return JsonDuckDBValueConverter(value, type, converter)
}
