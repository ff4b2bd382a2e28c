/** `schedule …`: Temporal Schedules that start builds. */
import { resolve } from 'node:path'
import { MillraceError, nearest } from '../../errors.ts'
import type { CommandContext, Verb } from '../command.ts'
import type { ExitCode } from '../exit-codes.ts'
import { isProject } from '../project-folder.ts'

type Action = (context: CommandContext, name: string | null) => Promise<ExitCode>

/** Their code, Temporal's client among it, is loaded when they run. */
const ACTIONS: Readonly<Record<string, Action>> = {
  create: async (context, name) => (await import('../schedule/create-schedules.ts')).createSchedules(context, name),
  list: async (context, name) => {
    if (name !== null) throw new MillraceError('USAGE', `schedule list: expected no name; got '${name}'`)
    return (await import('../schedule/show-schedules.ts')).listSchedules(context)
  },
  describe: async (context, name) =>
    (await import('../schedule/show-schedules.ts')).showSchedule(context, meant(context, name)),
  pause: async (context, name) =>
    (await import('../schedule/steer-schedule.ts')).pauseSchedule(context, meant(context, name)),
  unpause: async (context, name) =>
    (await import('../schedule/steer-schedule.ts')).unpauseSchedule(context, meant(context, name)),
  trigger: async (context, name) =>
    (await import('../schedule/steer-schedule.ts')).triggerSchedule(context, meant(context, name)),
  backfill: async (context, name) =>
    (await import('../schedule/backfill.ts')).backfillSchedule(context, meant(context, name)),
  delete: async (context, name) =>
    (await import('../schedule/steer-schedule.ts')).deleteSchedule(context, meant(context, name)),
}

export const scheduleVerb: Verb = {
  async run(context) {
    const [action = '', ...words] = context.args
    const run = ACTIONS[action]
    if (run === undefined) {
      const known = Object.keys(ACTIONS)
      const near = nearest(action, known)
      throw new MillraceError('USAGE', `schedule: expected ${known.join(', ')}; got '${action}'`, {
        hint: near === null ? 'See schedule --help.' : `Did you mean '${near}'?`,
      })
    }
    const { root, name } = split(context, words)
    return run({ ...context, root, args: [] }, name)
  },
}

/** Behind the action stand a name, a PROJECT, or both, in any order: one is a folder with a config file. */
function split({ root, options }: CommandContext, words: readonly string[]): { root: string; name: string | null } {
  const folder = options.project === null ? words.find(isProject) : undefined
  const [name = null, ...more] = words.filter((word) => word !== folder)
  if (more.length > 0) {
    throw new MillraceError('USAGE', `schedule: expected one NAME and a PROJECT; got '${words.join(' ')}'`, {
      hint: 'a PROJECT is a folder with a config file',
    })
  }
  return { root: folder === undefined ? root : resolve(folder), name }
}

/** A schedule without a name is called after its environment. */
function meant({ options }: CommandContext, name: string | null): string {
  return name ?? options.environment
}
