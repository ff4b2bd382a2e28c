/** COMMIT answered with an error: it may have happened or not; only what it would have written can tell. */
export class CommitOutcomeUnknown extends Error {
  /** Another transaction committed the same key first: this one did not happen. */
  readonly isDuplicateKey: boolean

  constructor(cause: unknown) {
    const text = cause instanceof Error ? cause.message : String(cause)
    super(`it is unknown whether the transaction was committed: ${text.split('\n', 1)[0]}`, { cause })
    this.name = 'CommitOutcomeUnknown'
    this.isDuplicateKey = /PRIMARY KEY or UNIQUE constraint violation/i.test(text)
  }
}
