/**
 * What the orchestration alone costs on this machine: the build's own workflow on an embedded server, whose activities do
 * nothing. No build that runs one activity per model can be faster, whatever its database does.
 * npm run bench:floor -- [--size 500] [--runs 5]
 */
import { Client, Connection } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { loadWorkflowBundle } from '../src/cli/workflow-bundle.ts'
import type { BuildStep } from '../src/payloads.ts'
import { startEmbeddedServer } from '../src/temporal/embedded-server.ts'
import { idleActivities, idleStep } from '../test/helpers/idle-activities.ts'
import { generateWorkload } from './generate.ts'
import { summarize } from './measure.ts'
import { workFolder } from './work-folder.ts'

const { values } = parseArgs({ options: { size: { type: 'string' }, runs: { type: 'string' } } })
const size = Number(values.size ?? '500')
const runs = Number(values.runs ?? '5')
/** The default of `concurrent_tasks`: the workflow's window follows from it. */
const CONCURRENT_TASKS = 8
const ACTIVITY_SLOTS = 64

Runtime.install({ logger: new DefaultLogger('WARN') })
const projectRoot = path.join(workFolder, 'projects', 'temporal-floor')
await rm(projectRoot, { recursive: true, force: true })
await mkdir(projectRoot, { recursive: true })
const server = await startEmbeddedServer({ projectRoot, onProgress: console.error })
try {
  const times = await measure(server.address)
  const spread = summarize(times)
  const [median, least, most] = [spread?.medianMs, spread?.minMs, spread?.maxMs].map((ms) =>
    ((ms ?? 0) / 1000).toFixed(2),
  )
  console.log(`${size} activities that do nothing, in the graph of the benchmark: ${median} s (${least}–${most})`)
} finally {
  await server.stop()
}

/** @returns ms from the start of each workflow to its result. */
async function measure(address: string): Promise<number[]> {
  const connection = await NativeConnection.connect({ address })
  const clientConnection = await Connection.connect({ address })
  const client = new Client({ connection: clientConnection })
  const worker = await Worker.create({
    connection,
    taskQueue: 'floor',
    workflowBundle: await loadWorkflowBundle(process.env),
    maxConcurrentActivityTaskExecutions: ACTIVITY_SLOTS,
    maxEagerActivityReservationsPerWorkflowTask: ACTIVITY_SLOTS,
    activities: idleActivities(workloadSteps(), { concurrentTasks: CONCURRENT_TASKS }),
  })
  const times: number[] = []
  await worker.runUntil(async () => {
    for (let run = 0; run < runs; run += 1) {
      const startedMs = performance.now()
      await client.workflow.execute('buildProject', { taskQueue: 'floor', workflowId: `floor-${run}`, args: [{}] })
      times.push(performance.now() - startedMs)
    }
  })
  await clientConnection.close()
  await connection.close()
  return times
}

function workloadSteps(): BuildStep[] {
  const { models } = generateWorkload(size)
  const indices = new Map(models.map(({ name }, index) => [name, index]))
  return models.map(({ name, parents }) =>
    idleStep(
      name,
      parents.map((parent) => indices.get(parent) ?? 0),
    ),
  )
}
