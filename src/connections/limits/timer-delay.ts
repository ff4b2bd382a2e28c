/** A timer of Node's that is set to more milliseconds fires at once. */
const LONGEST_MS = 2 ** 31 - 1

/** For `setTimeout`: what is longer than a timer can be ends after 24 days. */
export function timerDelay(ms: number): number {
  return Math.min(ms, LONGEST_MS)
}
