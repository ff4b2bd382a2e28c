/** What a holder gets whose database or registry went away: the work may be tried again on a new lease. */
export class ConnectionLost extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ConnectionLost'
  }
}
