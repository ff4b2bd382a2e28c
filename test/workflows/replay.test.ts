/** Builds that an older version has begun go on with this one: every history that was ever recorded is replayed. */
import proto from '@temporalio/proto'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { loadWorkflowBundle } from '../../src/cli/workflow-bundle.ts'

const FOLDER = fileURLToPath(new URL('../fixtures/histories/', import.meta.url))
const FILES = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.binpb.gz'))

Runtime.install({ logger: new DefaultLogger('ERROR') })

function read(file: string): proto.temporal.api.history.v1.IHistory {
  return proto.temporal.api.history.v1.History.decode(gunzipSync(readFileSync(`${FOLDER}${file}`)))
}

async function replay(history: proto.temporal.api.history.v1.IHistory): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: await loadWorkflowBundle(process.env) }, history, 'replayed')
}

test.each(FILES)('%s is replayed', async (file) => {
  await replay(read(file))
})

test('there is one of each way a build can go', () => {
  const names = new Set(FILES.map((file) => file.replace(/.*\//, '').replace(/(-\d+)?\.binpb\.gz$/, '')))
  expect([...names]).toEqual(
    expect.arrayContaining([
      'cancelled',
      'cancelled-while-planned',
      'continued',
      'continued-and-failed',
      'fail-fast',
      'failed',
      'joined',
      'left-the-queue',
      'no-steps',
      'not-planned',
      'queued',
      'repeated',
      'retried',
      'scheduled',
      'searchable',
      'steered',
      'succeeded',
    ]),
  )
  expect(FILES.filter((file) => /continued-\d/.test(file)).length).toBeGreaterThan(2)
})

test('a history that the workflow would not have made is refused', async () => {
  const history = read(FILES.find((file) => file.endsWith('succeeded.binpb.gz')) ?? '')
  for (const { activityTaskScheduledEventAttributes: scheduled } of history.events ?? []) {
    if (scheduled?.activityId === 's.b') scheduled.activityId = 's.c'
  }
  await expect(replay(history)).rejects.toThrow(/[Nn]ondeterminism|DeterminismViolation/)
})
