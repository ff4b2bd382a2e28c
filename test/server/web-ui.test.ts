import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scheduledActivities } from '../helpers/history.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startBuild, startTestServer, type TestServer } from '../helpers/worker.ts'

/** What the Web UI asks a workflow for. */
interface WorkflowMetadata {
  definition: { queryDefinitions: { name: string; description?: string }[] }
  currentDetails: string
}

const ERROR = 'Binder Error: Referenced column "nmae" not found in FROM clause! (models/broken.sql:5)'

describe('what a person sees of a build in the Web UI', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.close())

  test('is a failure that begins with the SQL error and its place, and details that name it', async () => {
    const root = await createProject(FILES)
    const worker = await server.startWorker([root])
    try {
      const handle = await startBuild(server, {})
      const error: unknown = await handle.result().catch((reason: unknown) => reason)
      const failure = error instanceof WorkflowFailedError ? error.cause : null
      expect(failure).toBeInstanceOf(ApplicationFailure)
      expect(failure?.message.split('\n')).toEqual([
        `s.broken: ${ERROR}`,
        expect.stringMatching(/^Candidate bindings/),
        '1 failed, 1 skipped; nothing was promoted',
      ])
      const failed = (await handle.fetchHistory()).events?.flatMap(
        ({ activityTaskFailedEventAttributes }) => activityTaskFailedEventAttributes?.failure ?? [],
      )
      expect(failed?.map(({ message }) => message?.split('\n')[0])).toEqual([ERROR])
      // Our own stack says nothing about the user's SQL.
      expect(failed?.map(({ stackTrace }) => stackTrace)).toEqual([''])

      const metadata = await handle.query<WorkflowMetadata>('__temporal_workflow_metadata')
      expect(metadata.currentDetails).toContain('**Failed, nothing promoted**')
      expect(metadata.currentDetails).toContain(`**Failed**: \`s.broken\`: \`${ERROR}\``)
      expect(metadata.definition.queryDefinitions).toContainEqual(
        expect.objectContaining({
          name: 'progress',
          description: expect.stringContaining('How far the build is') as string,
        }),
      )
    } finally {
      await worker.stop()
    }
  })

  test('is an activity for each batch, called by its model and its days', async () => {
    const root = await createProject(FILES)
    await writeFiles(root, { 'models/broken.sql': 'MODEL (name s.broken, kind FULL);\nSELECT 1 AS name' })
    const worker = await server.startWorker([root])
    try {
      const handle = await startBuild(server, {})
      await handle.result()
      const activities = scheduledActivities(await handle.fetchHistory())
      expect(activities.map(({ activityId, summary }) => `${activityId}: ${summary ?? ''}`).sort()).toEqual([
        'finish: promote and record',
        'plan: plan',
        's.broken: s.broken · full',
        's.child: s.child · view',
        's.daily@2024-01-01: s.daily · 2024-01-01 – 2024-01-10',
        's.daily@2024-01-11: s.daily · 2024-01-11 – 2024-01-20',
        's.daily@2024-01-21: s.daily · 2024-01-21',
        's.hourly: s.hourly · 2024-01-01T00:00Z – 2024-01-01T05:00Z',
      ])
      const { currentDetails } = await handle.query<WorkflowMetadata>('__temporal_workflow_metadata')
      expect(currentDetails.split('\n')[0]).toMatch(/^\*\*Built and promoted\*\*: 6 of 6 steps done \(100 %\) in \d/)
    } finally {
      await worker.stop()
    }
  })
})

const FILES = {
  'models/broken.sql':
    'MODEL (name s.broken, kind FULL);\n\nSELECT\n  1 AS id,\n  nmae AS name\nFROM (SELECT 1 AS name)',
  'models/child.sql': 'MODEL (name s.child, kind VIEW);\nSELECT name FROM s.broken',
  'models/daily.sql': `MODEL (
  name s.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 10), start '2024-01-01', end '2024-01-21'
);
SELECT range::DATE AS ds FROM range(@start_dt, @end_dt, INTERVAL 1 DAY)`,
  'models/hourly.sql': `MODEL (
  name s.hourly, kind INCREMENTAL_BY_TIME_RANGE (time_column ts), cron '@hourly',
  start '2024-01-01', end '2024-01-01 05:00:00'
);
SELECT range AS ts FROM range(@start_dt, @end_dt, INTERVAL 1 HOUR)`,
}
