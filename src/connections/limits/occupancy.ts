/** How many use a database, and the wait until nobody does. */

export interface Occupancy {
  readonly isEmpty: boolean
  enter(): void
  leave(): void
  /** Resolves with true as soon as nobody is left, with false after `limitMs`; Infinity waits however long it takes. */
  emptyWithin(limitMs: number): Promise<boolean>
  /** Gives the wait that runs another limit, from now. */
  hurry(limitMs: number): void
}

export function createOccupancy(): Occupancy {
  let users = 0
  let emptied: (() => void) | null = null
  let setLimit: ((limitMs: number) => void) | null = null

  async function emptyWithin(limitMs: number): Promise<boolean> {
    if (users === 0) return true
    let timer: NodeJS.Timeout | undefined
    const empty = new Promise<boolean>((resolve) => {
      emptied = () => resolve(true)
      setLimit = (ms) => {
        clearTimeout(timer)
        timer = setTimeout(() => resolve(false), ms)
      }
      if (limitMs !== Infinity) setLimit(limitMs)
    })
    const result = await empty
    clearTimeout(timer)
    emptied = null
    setLimit = null
    return result
  }

  return {
    get isEmpty() {
      return users === 0
    },
    enter: () => {
      users += 1
    },
    leave: () => {
      users -= 1
      if (users === 0) emptied?.()
    },
    emptyWithin,
    hurry: (limitMs) => setLimit?.(limitMs),
  }
}
