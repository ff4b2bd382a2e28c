/** What a lease is asked for with, and for whom. */
import type { AuthContext } from './credentials/auth-context.ts'
import type { LockWait } from './opening.ts'

export interface LeaseRequest extends LockWait {
  holder: string
  /** What it writes to; undefined for the connection's default. */
  catalog?: string | undefined
  timeoutMs: number
  auth: AuthContext
}

/** A source may take a minute to answer; whoever closes the database does not wait for that, and aborts `interrupted`. */
export function authUntil({ auth }: LeaseRequest, interrupted: AbortSignal): AuthContext {
  let both: AbortSignal | undefined
  return {
    ...auth,
    // Made when a source asks for it: most leases authenticate nothing.
    get signal() {
      return (both ??= AbortSignal.any([interrupted, ...(auth.signal === undefined ? [] : [auth.signal])]))
    },
  }
}
