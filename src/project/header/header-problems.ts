/** Collects the problems of one file, so that all of them are reported at once. */
import { MillraceError, ProjectError } from '../../errors.ts'

export class HeaderProblems {
  readonly #found: MillraceError[] = []

  /** How many were found; a check that others make pointless compares it before and after them. */
  get count(): number {
    return this.#found.length
  }

  /** What `read` returns; `fallback` when it throws a problem, which is kept. Anything else is thrown on. */
  attempt<T>(fallback: T, read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      this.add(error)
      return fallback
    }
  }

  add(error: MillraceError): void {
    this.#found.push(...(error instanceof ProjectError ? error.problems : [error]))
  }

  /** @throws MillraceError the only problem, or ProjectError for several, in the order of the file. */
  throwIfAny(): void {
    const [first, ...others] = this.#found
    if (first === undefined) return
    if (others.length === 0) throw first
    throw new ProjectError(
      [...this.#found].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)),
    )
  }
}
