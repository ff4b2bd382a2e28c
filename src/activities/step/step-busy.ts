/** Another attempt of the step, or another step of its version, was first: nothing was written here, and trying again is free. */
export class StepBusy extends Error {
  /** It has committed; else it may still run. */
  readonly committed: boolean

  constructor(cause: unknown, { committed }: { committed: boolean }) {
    super(committed ? 'another attempt of the step committed first' : 'another attempt of the step is running', {
      cause,
    })
    this.name = 'StepBusy'
    this.committed = committed
  }
}
