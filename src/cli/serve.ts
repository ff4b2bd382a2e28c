/** Serves the builds of one or more projects until SIGINT or SIGTERM. */
import type { NativeConnection } from '@temporalio/worker'
import { resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import { loadConfig } from '../project/config.ts'
import { findTemporalServer } from '../temporal/find-server.ts'
import { Cleanup } from './cleanup.ts'
import type { RuntimeSettings } from './install-runtime.ts'
import { endWithLaunchers } from './lifetime.ts'
import { formatLogLine, type LogFormat } from './log-lines.ts'
import type { CliOptions } from './options.ts'
import type { Output } from './output.ts'
import type { ServedQueue } from './run-workers.ts'

export async function serve(folders: readonly string[], options: CliOptions, output: Output): Promise<void> {
  endWithLaunchers()
  const env = process.env
  const logFormat = parseLogFormat(options.logFormat)
  const roots = folders.map((folder) => resolve(folder))
  const root = roots[0] ?? process.cwd()
  const queues = await readQueues(roots, options.taskQueue, env)
  const { address, namespace, graceSeconds, metrics, verbose } = options
  const say = (line: string): void => {
    if (logFormat === null) output.say(line)
    else process.stderr.write(formatLogLine({ time: new Date(), level: 'INFO', message: line, fields: {} }, logFormat))
  }
  const loading = loadParts(env, { root, verbose, logFormat, metrics })
  loading.catch(() => {})
  const cleanup = new Cleanup()
  let connection: NativeConnection | null = null
  try {
    const server = await findTemporalServer({
      address,
      namespace,
      projectRoot: root,
      env,
      onProgress: say,
      mayStart: true,
      // A worker's own connection tells as well whether the server answers.
      probe: async (server, limitMs) => {
        connection = await (await loading).connectWorkers(server, limitMs)
      },
    })
    cleanup.add(() => server.embedded?.stop())
    const { connectWorkers, runWorkers, bundle } = await loading
    connection ??= await connectWorkers(server.connectionOptions, CONNECT_LIMIT_MS)
    await runWorkers(connection, { server, queues, env, bundle, graceSeconds, say })
  } finally {
    if (connection === null) await loading.then(({ endRuntime }) => endRuntime()).catch(() => {})
    await cleanup.run()
  }
}

const CONNECT_LIMIT_MS = 10_000

/** The SDK takes as long to load as a server to start. */
async function loadParts(env: NodeJS.ProcessEnv, settings: RuntimeSettings) {
  const { connectWorkers, endRuntime, runWorkers } = await import('./run-workers.ts')
  const { loadWorkflowBundle } = await import('./workflow-bundle.ts')
  const { installRuntime } = await import('./install-runtime.ts')
  await installRuntime(settings)
  const bundle = loadWorkflowBundle(env)
  bundle.catch(() => {})
  return { connectWorkers, endRuntime, runWorkers, bundle }
}

/** One worker per queue: by default every project has its own, so that a build finds who serves it. */
async function readQueues(
  roots: readonly string[],
  taskQueue: string | null,
  env: NodeJS.ProcessEnv,
): Promise<ServedQueue[]> {
  const queues = new Map<string, Map<string, string>>()
  for (const root of roots) {
    const { project } = await loadConfig(root, env)
    const queue = taskQueue ?? `millrace-${project}`
    const projects = queues.get(queue) ?? new Map<string, string>()
    const other = projects.get(project)
    if (other !== undefined) {
      throw new MillraceError(
        'USAGE',
        `expected projects of different names; '${project}' is in ${other} and in ${root}`,
        {
          hint: 'name one of them with `project:` in its config.yaml',
        },
      )
    }
    queues.set(queue, projects.set(project, root))
  }
  return [...queues].map(([taskQueue, projects]) => ({ taskQueue, projects }))
}

function parseLogFormat(text: string | null): LogFormat | null {
  if (text === null || text === 'text' || text === 'json') return text
  throw new MillraceError('USAGE', `--log-format: expected 'text' or 'json'; got '${text}'`)
}
