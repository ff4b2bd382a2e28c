/** A timer of Node's that is set to more than this many milliseconds fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1
