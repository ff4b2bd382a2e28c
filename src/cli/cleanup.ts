/** What a command has opened, closed in reverse order. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = []

  add(step: () => unknown): void {
    this.#steps.push(step)
  }

  /** Every step runs, whatever the others do; the first error is thrown at the end. */
  async run(): Promise<void> {
    let failed: { error: unknown } | null = null
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step()
      } catch (error) {
        failed ??= { error }
      }
    }
    if (failed !== null) throw failed.error
  }
}
