/** The models of a build that took longest. */

export interface SlowModel {
  name: string
  durationMs: number
}

const KEPT = 5

export class SlowestModels {
  #models: SlowModel[] = []

  add({ name, durationMs }: SlowModel): void {
    const last = this.#models[KEPT - 1]
    if (last !== undefined && durationMs <= last.durationMs) return
    this.#models = [...this.#models, { name, durationMs }].sort((a, b) => b.durationMs - a.durationMs).slice(0, KEPT)
  }

  restore(models: readonly SlowModel[]): void {
    this.#models = [...models]
  }

  /** Slowest first. */
  list(): SlowModel[] {
    return this.#models.map(({ name, durationMs }) => ({ name, durationMs }))
  }
}
