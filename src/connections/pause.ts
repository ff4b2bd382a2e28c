/** A pause that its waiter can give up. */
import { setTimeout as delay } from 'node:timers/promises'

/** @throws the signal's reason, when it is aborted before the time is over. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    // Its own AbortError hides why.
    signal?.throwIfAborted()
    throw error
  }
}
