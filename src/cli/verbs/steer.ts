/** `pause`, `resume`, `skip`, `adjust`: what people do with a build that runs. */
import { MillraceError } from '../../errors.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { runningBuild } from '../running-build.ts'
import { steerBuild, type SteerUpdate } from '../steer-build.ts'
import { openTemporal } from '../temporal-session.ts'

export const pauseVerb = steering(({ args }) => ({ workflowId: args[0], updates: [['pause']] }))

export const resumeVerb = steering(({ args }) => ({ workflowId: args[0], updates: [['resume']] }))

export const skipVerb = steering(({ args: [model, workflowId] }) => ({ workflowId, updates: [['skipModel', model]] }))

export const adjustVerb = steering(({ args, options: { maxParallel, failFast, noFailFast } }) => {
  if (failFast && noFailFast)
    throw new MillraceError('USAGE', 'expected one of --fail-fast and --no-fail-fast; got both')
  const updates: Update[] = [
    ...(maxParallel === null ? [] : [['setParallel', maxParallel] as const]),
    ...(failFast || noFailFast ? [['setFailFast', failFast] as const] : []),
  ]
  if (updates.length > 0) return { workflowId: args[0], updates }
  throw new MillraceError('USAGE', 'expected --max-parallel N, --fail-fast or --no-fail-fast; got none of them')
})

type Update = readonly [SteerUpdate, ...unknown[]]

interface Steps {
  /** Default: that of the environment's builds. */
  workflowId: string | undefined
  updates: readonly Update[]
}

function steering(toSteps: (context: CommandContext) => Steps): Verb {
  return {
    async run(context) {
      const { workflowId, updates } = toSteps(context)
      const session = await openTemporal(context, { worker: false, mayStart: false })
      try {
        const handle = await runningBuild(session, context, workflowId)
        const { waitSeconds } = context.options
        const answers: string[] = []
        for (const [update, ...args] of updates) answers.push(await steerBuild(handle, update, { args, waitSeconds }))
        const document = { workflowId: handle.workflowId, answers }
        context.output.answer(answers.map((answer) => `${handle.workflowId}: ${answer}`).join('\n'), document)
        return EXIT.done
      } finally {
        await session.close()
      }
    },
  }
}
