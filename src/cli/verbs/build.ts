/** `build` makes the environment match the project, `restate` builds histories again: started, followed, reported. */
import { assertPlannable } from '../../activities/plan/plan-scope.ts'
import { MillraceError } from '../../errors.ts'
import type { BuildInput } from '../../payloads.ts'
import { modelHashes } from '../../project/project-hash.ts'
import { executionTimeOf, toBuildInput } from '../build-input.ts'
import type { CommandContext, Verb } from '../command.ts'
import type { ExitCode } from '../exit-codes.ts'
import { endWithLaunchers } from '../lifetime.ts'
import { loadForVerb } from '../load-for-verb.ts'
import { openTemporal, type TemporalSession } from '../temporal-session.ts'

const WITH_WORKER = { worker: true, mayStart: true }

export const buildVerb: Verb = { run: (context) => build(context, {}) }

/** `restate`: a build of the models that are named and of all that read them, once more; with `--dry-run` the plan of it. */
export const restateVerb: Verb = {
  async run(context) {
    const asked = { restate: context.args }
    if (!context.options.dryRun) return build(context, asked)
    const { preview } = await import('./plan.ts')
    return preview(context, asked)
  },
}

/** @param asked what the verb says of the build, beside its options. */
async function build(context: CommandContext, asked: Pick<BuildInput, 'restate'>): Promise<ExitCode> {
  endWithLaunchers()
  // Before anything is started: what is wrong with the folder is said at once.
  const hashes = await loadFirst(context, asked)
  let left: string | null = null
  for (;;) {
    const session = context.options.detach ? await openToDetach(context) : await openTemporal(context, WITH_WORKER)
    try {
      const { runBuild } = await import('../run-build.ts')
      return await runBuild(session, context, { asked, hashes, left, onStarted: (workflowId) => (left = workflowId) })
    } catch (error) {
      if (left === null || !waitedElsewhere(error, session, context)) throw error
      context.output.say('The server was that of another command, which has ended: going on with one of our own')
    } finally {
      await session.close()
    }
  }
}

/** What waits for the build of another command loses its server with it; the server's data stays with the project. */
function waitedElsewhere(error: unknown, { server }: TemporalSession, { options }: CommandContext): boolean {
  if (options.onConflict !== 'queue' && options.onConflict !== 'preempt') return false
  return server.kind === 'project' && error instanceof MillraceError && error.code === 'TEMPORAL_UNAVAILABLE'
}

/** @returns a hash of each model of the folder. @throws what is wrong with the folder, or with what is asked of it. */
async function loadFirst(context: CommandContext, asked: Pick<BuildInput, 'restate'>): Promise<Record<string, string>> {
  await using loaded = await loadForVerb(context)
  const { environment } = context.options
  const input = { ...toBuildInput(context, loaded.project.name, null), ...asked }
  assertPlannable(loaded.project, { ...input, environment, executionMs: executionTimeOf(context) })
  return modelHashes(loaded.project)
}

/** A build that is left to itself needs a server and a worker that outlive the command. */
async function openToDetach(context: CommandContext): Promise<TemporalSession> {
  try {
    return await openTemporal(context, { worker: false, needsWorker: true, mayStart: false })
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'TEMPORAL_UNAVAILABLE') throw error
    throw new MillraceError(
      'TEMPORAL_UNAVAILABLE',
      `--detach needs a server that outlives the command. ${error.message}`,
      {
        hint: 'name one with --address, or keep one running with `worker.ts` in another terminal',
        cause: error,
      },
    )
  }
}
