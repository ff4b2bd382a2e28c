/** What earlier attempts of a step recorded, those of other builds that planned it too. */
import type { Lease } from '../../connections/lease.ts'
import { unitsOf } from '../../graph/intervals.ts'
import { hasInterval, isSerial } from '../../project/model.ts'
import { countUnits, readStep, readStepOf, type StepResult } from '../../state/ledger.ts'
import { StepBusy } from './step-busy.ts'
import type { StepWork } from './step-work.ts'

type Session = Pick<Lease, 'run' | 'rows'>

/** The result of whoever recorded every unit of the step's interval from the same seeds; null when some are not recorded. */
export async function readOtherAttempt(session: Session, { step, definition }: StepWork): Promise<StepResult | null> {
  if (step.interval === null) return null
  const range = { start: step.interval[0], end: step.interval[1] }
  const recorded = await countUnits(session, step, range)
  const missing = unitsOf(range, definition.model.interval_unit).length - recorded
  return missing > 0 ? null : readStepOf(session, step.version, range)
}

/** The step's own record. @throws StepBusy when what the step would add is there, written by another build. */
export async function readRecorded(session: Session, work: StepWork): Promise<StepResult | null> {
  const recorded = await readStep(session, work.id)
  if (recorded === null && (await isWrittenAlready(session, work))) {
    throw new StepBusy(new Error('another build wrote it'), { committed: true })
  }
  return recorded
}

/**
 * Whether the step must not write, since what it adds is there: no key of the ledger may tell, and its kind does not replace what it
 * finds.
 */
async function isWrittenAlready(session: Session, work: StepWork): Promise<boolean> {
  const { kind } = work.definition.model
  if (work.step.fresh !== true || !hasInterval(kind) || !isSerial(kind)) return false
  return (await readOtherAttempt(session, work)) !== null
}
