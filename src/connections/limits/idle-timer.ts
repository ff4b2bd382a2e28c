/** Tells when nothing was asked for during a while. */
import { timerDelay } from './timer-delay.ts'
import { outsideContext } from '../outside-context.ts'

export interface IdleTimer {
  /** From now, however often it is called. */
  start(): void
  stop(): void
}

/** Keeps no process alive, and nothing of the context it was started in. */
export function createIdleTimer(idleMs: number, onIdle: () => void): IdleTimer {
  let timer: NodeJS.Timeout | undefined
  const stop = (): void => clearTimeout(timer)
  return {
    start: () => {
      stop()
      timer = outsideContext(() => setTimeout(onIdle, timerDelay(idleMs)))
      timer.unref()
    },
    stop,
  }
}
