/** Later than any time in seconds that is meant; milliseconds are beyond it. */
const LAST_SECOND = 1e11

/**
 * A time as programs and services write it: ISO 8601 (UTC when it names no offset), or seconds since 1970, as number or text.
 * @returns milliseconds since 1970; null when it is neither.
 */
export function parseExpiry(written: string | number): number | null {
  const seconds = typeof written === 'number' ? written : /^\d+(\.\d+)?$/.test(written.trim()) ? Number(written) : null
  if (seconds !== null) return seconds >= 0 && seconds < LAST_SECOND ? seconds * 1000 : null
  const text = String(written).trim()
  const found = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?) ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$/i.exec(
    text,
  )
  if (found === null) return null
  const [, day = '', time = '', zone = 'Z'] = found
  const offset = /^(Z|UTC)$/i.test(zone)
    ? 'Z'
    : zone.length === 3
      ? `${zone}:00`
      : zone.replace(/(\d{2}):?(\d{2})$/, '$1:$2')
  const parsed = Date.parse(`${day}T${time.replace(',', '.')}${offset}`)
  return Number.isNaN(parsed) ? null : parsed
}
