/** Serves the builds of one or more projects until SIGINT or SIGTERM. */
import { NativeConnection, Worker } from '@temporalio/worker'
import { resolve } from 'node:path'
import { MillracePlugin } from '../plugin.ts'
import { loadConfig } from '../project/config.ts'
import { findTemporalServer } from '../temporal/find-server.ts'
import { Cleanup } from './cleanup.ts'
import { onInterrupt } from './interrupt.ts'
import { endWithLaunchers } from './lifetime.ts'
import { logToFile } from './log-file.ts'
import type { CliOptions } from './options.ts'
import type { Output } from './output.ts'
import { workerIdentity } from './pollers.ts'
import { loadWorkflowBundle } from './workflow-bundle.ts'

export async function serve(folders: readonly string[], options: CliOptions, output: Output): Promise<void> {
  endWithLaunchers()
  const env = process.env
  const roots = folders.map((folder) => resolve(folder))
  const configs = await Promise.all(roots.map((root) => loadConfig(root, env)))
  const root = roots[0] ?? process.cwd()
  const cleanup = new Cleanup()
  try {
    // One worker per queue: by default every project has its own, so that a build finds who serves it.
    const { address, namespace } = options
    const onProgress = (line: string): void => output.say(line)
    const bundle = loadWorkflowBundle(env)
    bundle.catch(() => {})
    const server = await findTemporalServer({ address, namespace, projectRoot: root, env, onProgress, mayStart: true })
    cleanup.add(() => server.embedded?.stop())
    // Not before a connection follows: its end is what ends the SDK's runtime, which else keeps the process alive.
    logToFile(root, options.verbose)
    const connection = await NativeConnection.connect(server.connectionOptions)
    cleanup.add(() => connection.close())
    const queues = new Map<string, string[]>()
    configs.forEach((config, index) => {
      const queue = options.taskQueue ?? `millrace-${config.project}`
      queues.set(queue, [...(queues.get(queue) ?? []), roots[index] ?? root])
    })
    const workers: Worker[] = []
    for (const [taskQueue, projects] of queues) {
      workers.push(
        await Worker.create({
          connection,
          namespace: server.namespace,
          taskQueue,
          identity: workerIdentity(taskQueue),
          workflowBundle: await bundle,
          plugins: [new MillracePlugin({ projects, env })],
        }),
      )
      output.say(`Worker on task queue '${taskQueue}' at ${server.address} for ${projects.join(', ')}`)
    }
    if (server.uiUrl !== null) output.say(`Web UI: ${server.uiUrl}`)
    const interrupt = onInterrupt(() => {
      output.say(
        'Shutting down: running steps get 30 s, then they are interrupted and rolled back (Ctrl-C again leaves at once)',
      )
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown()
    })
    try {
      await Promise.all(workers.map((worker) => worker.run()))
    } finally {
      interrupt.remove()
    }
  } finally {
    await cleanup.run()
  }
}
