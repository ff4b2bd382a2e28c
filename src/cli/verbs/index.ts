/** Every verb, in the order `--help` shows them. */
import type { Verb } from '../command.ts'
import { buildVerb } from './build.ts'
import { cancelVerb } from './cancel.ts'
import { planVerb } from './plan.ts'
import { statusVerb, watchVerb } from './status.ts'

export const VERBS: Readonly<Record<string, Verb>> = {
  plan: planVerb,
  build: buildVerb,
  status: statusVerb,
  watch: watchVerb,
  cancel: cancelVerb,
}

/** Verbs of the public contract that this version answers with NOT_YET. */
export const LATER_VERBS: ReadonlySet<string> = new Set([
  'lint',
  'format',
  'lineage',
  'restate',
  'audit',
  'test',
  'evaluate',
  'create-external-models',
  'pause',
  'resume',
  'retry',
  'schedule',
  'environments',
  'promote',
  'invalidate',
  'janitor',
  'diff',
  'report',
])
