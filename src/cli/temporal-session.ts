/** A command's way to Temporal: which server, and what to do with it. */
import { loadConfig } from '../project/config.ts'
import { findTemporalServer, type FoundServer } from '../temporal/find-server.ts'
import { Cleanup } from './cleanup.ts'
import type { CommandContext } from './command.ts'
import type { ConnectedSession, WorkerOptions } from './connect-session.ts'

export interface TemporalSession extends ConnectedSession {
  server: FoundServer
  /** The project's name. */
  project: string
  /** Stops the worker, then the server if this command started it. */
  close(): Promise<void>
}

export interface SessionOptions extends WorkerOptions {
  /** Start an embedded server when no other answers. */
  mayStart: boolean
}

/** @throws MillraceError TEMPORAL_UNAVAILABLE, NO_WORKER, or what is wrong with the config. */
export async function openTemporal(context: CommandContext, options: SessionOptions): Promise<TemporalSession> {
  const { root, env, output } = context
  const { address, namespace } = context.options
  const { project } = await loadConfig(root, env)
  const parts = loadedOnce(() => loadParts(options.worker, env))
  const server = await findTemporalServer({
    address,
    namespace,
    projectRoot: root,
    env,
    onProgress: (line) => output.say(line),
    // The SDK takes as long to load as the server to start.
    onStarting: () => void parts().catch(() => {}),
    mayStart: options.mayStart,
  })
  const cleanup = new Cleanup()
  cleanup.add(() => server.embedded?.stop())
  try {
    const { connectSession, bundle } = await parts()
    const connected = await connectSession(context, { ...options, server, project, bundle, cleanup })
    return { ...connected, server, project, close: () => cleanup.run() }
  } catch (error) {
    await cleanup.run()
    throw error
  }
}

async function loadParts(worker: boolean, env: NodeJS.ProcessEnv) {
  const { connectSession, loadWorkflowBundle } = await import('./connect-session.ts')
  const bundle = worker ? loadWorkflowBundle(env) : null
  bundle?.catch(() => {})
  // While the server starts: the build follows at once.
  if (worker) await import('../plugin/work.ts')
  return { connectSession, bundle }
}

function loadedOnce<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | null = null
  return () => (loading ??= load())
}
