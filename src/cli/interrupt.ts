/** Ctrl-C: the first asks, the second leaves at once. */

/** A terminal's Ctrl-C reaches the whole process group, and launchers pass it on: what comes this soon is the same one. */
const SAME_MS = 300

export interface Interrupt {
  /** How often the user asked. */
  readonly count: number
  /** Resolves at the first. */
  happened: Promise<void>
  remove(): void
}

export function onInterrupt(first: () => void): Interrupt {
  let count = 0
  let last = -Infinity
  let happen: () => void = () => {}
  const happened = new Promise<void>((resolve) => {
    happen = resolve
  })
  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (now - last < SAME_MS) return
    last = now
    count += 1
    if (count > 1) leave(signal)
    first()
    happen()
  }
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM']
  for (const signal of signals) process.on(signal, listener)
  return {
    get count() {
      return count
    },
    happened,
    remove() {
      for (const signal of signals) process.off(signal, listener)
    },
  }
}

/**
 * Ends this process as the signal would: a shell sees 130 for a Ctrl-C. `process.exit` would wait for the queries.
 * Nothing is left half-written: an open transaction is rolled back by whoever opens the file next.
 */
function leave(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  // Someone else still listens.
  process.kill(process.pid, 'SIGKILL')
}
