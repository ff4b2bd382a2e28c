/** Lengths of time as people write them: `90s`, `1h30m`, `2 h`. */

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+$/

/** Milliseconds; null for what is none. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null
  const parts = text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g)
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS], 0)
}

/** The shortest text that `parseDuration` reads as the same: `1h30m`. */
export function formatDuration(ms: number): string {
  let left = ms
  const parts = Object.entries(UNITS_MS)
    .reverse()
    .flatMap(([unit, size]) => {
      const count = Math.floor(left / size)
      left -= count * size
      return count === 0 ? [] : [`${count}${unit}`]
    })
  return parts.length === 0 ? '0s' : parts.join('')
}
