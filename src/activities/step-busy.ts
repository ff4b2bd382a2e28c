/** Another attempt of the step, or of another step of its version, has not ended: nothing was tried, and trying again is free. */
export class StepBusy extends Error {
  constructor(cause: unknown) {
    super('another attempt of the step is running', { cause })
    this.name = 'StepBusy'
  }
}
