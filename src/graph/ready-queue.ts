/** Steps that may start, in the order they should: a binary heap. Pure. */

/** The longest path on top, of equal ones the lowest index. */
export class ReadyQueue {
  readonly #paths: readonly number[]
  readonly #heap: number[] = []

  /** @param paths how much work hangs on each step. */
  constructor(paths: readonly number[]) {
    this.#paths = paths
  }

  get size(): number {
    return this.#heap.length
  }

  push(step: number): void {
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = heap[above]
      if (other === undefined || this.#isBefore(other, step)) break
      heap[at] = other
      at = above
    }
    heap[at] = step
  }

  pop(): number | null {
    const heap = this.#heap
    const [top] = heap
    const last = heap.pop()
    if (top === undefined || last === undefined) return null
    if (heap.length > 0) this.#sink(last)
    return top
  }

  /** Takes a step out of the middle; in time proportional to the size. */
  remove(step: number): void {
    const left = this.#heap.filter((other) => other !== step)
    this.clear()
    for (const other of left) this.push(other)
  }

  clear(): void {
    this.#heap.length = 0
  }

  /** Puts `step` in the place of the top and lets it sink to where it belongs. */
  #sink(step: number): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const rightFirst = right !== undefined && this.#isBefore(right, left)
      const first = rightFirst ? right : left
      if (this.#isBefore(step, first)) break
      heap[at] = first
      at = 2 * at + (rightFirst ? 2 : 1)
    }
    heap[at] = step
  }

  #isBefore(a: number, b: number): boolean {
    const difference = (this.#paths[a] ?? 0) - (this.#paths[b] ?? 0)
    return difference === 0 ? a < b : difference > 0
  }
}
