/** The macro variables of an instant (`@start_ds`, `@execution_dt` …) as DuckDB SQL, always in UTC. Pure. */

export const DATE_PREFIXES = ['start', 'end', 'execution', 'latest'] as const
/** `latest` is SQLMesh's old word for `execution`. */
export type DatePrefix = (typeof DATE_PREFIXES)[number]

/**
 * Every variable of `prefix` → its SQL text, e.g. `start_date` → `CAST('2020-01-01' AS DATE)`.
 * `instantUs` is microseconds since the epoch: the end of an interval is written inclusive, one microsecond before its
 * exclusive end (`inclusiveEndUs`), which milliseconds cannot hold.
 */
export function dateVariables(prefix: DatePrefix, instantUs: number): Record<string, string> {
  const millis = Math.floor(instantUs / 1000)
  const instant = new Date(millis)
  const date = instant.toISOString().slice(0, 10)
  const timestamp = `${date} ${instant.toISOString().slice(11, 19)}${fraction(instantUs)}`
  const epoch = millis / 1000
  return {
    [`${prefix}_ds`]: `'${date}'`,
    [`${prefix}_date`]: `CAST('${date}' AS DATE)`,
    [`${prefix}_ts`]: `'${timestamp}'`,
    [`${prefix}_tstz`]: `'${timestamp}+00:00'`,
    [`${prefix}_dt`]: `CAST('${timestamp}+00:00' AS TIMESTAMPTZ)`,
    [`${prefix}_dtntz`]: `CAST('${timestamp}' AS TIMESTAMP)`,
    [`${prefix}_epoch`]: Number.isInteger(epoch) ? `${epoch}.0` : String(epoch),
    [`${prefix}_millis`]: String(millis),
    [`${prefix}_hour`]: String(instant.getUTCHours()),
  }
}

/** The last microsecond of a half-open interval that ends at `endMs` (milliseconds since the epoch). */
export function inclusiveEndUs(endMs: number): number {
  return endMs * 1000 - 1
}

const DATE_VARIABLE = /^(start|end|execution|latest)_(?:ds|date|ts|tstz|dt|dtntz|epoch|millis|hour)$/

/** The prefix of a date variable's lower-case name, null for any other name. */
export function datePrefix(name: string): DatePrefix | null {
  const prefix = DATE_VARIABLE.exec(name)?.[1]
  return DATE_PREFIXES.find((candidate) => candidate === prefix) ?? null
}

/** Microseconds as SQL writes them: six digits, nothing for a whole second. */
function fraction(instantUs: number): string {
  const micros = ((instantUs % 1_000_000) + 1_000_000) % 1_000_000
  return micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`
}
