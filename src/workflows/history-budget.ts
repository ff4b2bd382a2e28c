/**
 * When a build goes on in a new run of its workflow. Temporal ends a run beyond 51,200 events or 50 MB, and a worker that has
 * lost its cache reads all of it again: a run that stays below 10,000 events is read in about a second. Pure.
 */

/** Of the run that goes on. */
export interface HistoryUse {
  events: number
  bytes: number
  /** Of them the plan's, which the next run begins with, too. */
  planBytes: number
  /** The server would like it to, which it did not when the plan was loaded. */
  suggested: boolean
}

/** From here on the build hands over as soon as little is lost by it. */
const SOFT_EVENTS = 6_000
/** Beyond this it hands over whatever runs. A step takes 3 events and, in the worst case, a workflow task of 3. */
const MOST_EVENTS = 9_500
const EVENTS_OF_STEP = 6
const SOFT_BYTES = 3_000_000
const MOST_BYTES = 5_000_000

/**
 * @param running steps in flight.
 * @returns `soon`: it should hand over as soon as little is lost by it; `now`: nothing more may be started in this run.
 */
export function handOver(
  { events, bytes, planBytes, suggested }: HistoryUse,
  running: number,
): 'later' | 'soon' | 'now' {
  const added = bytes - planBytes
  if (events + running * EVENTS_OF_STEP > MOST_EVENTS || added > MOST_BYTES) return 'now'
  return suggested || events > SOFT_EVENTS || added > SOFT_BYTES ? 'soon' : 'later'
}
