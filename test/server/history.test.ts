import { Worker } from '@temporalio/worker'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BuildSummary } from '../../src/payloads.ts'
import { historyPayloads, historyText, scheduledActivities, type History } from '../helpers/history.ts'
import { createProject } from '../helpers/project.ts'
import { startBuild, startTestServer, workflowBundle, type TestServer } from '../helpers/worker.ts'

const MODELS = 500
const SOURCES = 50
/** In every model's SQL, and nowhere else. */
const MARKER = 'kingfisher'

/** Three events an activity cannot do without, and the workflow tasks between them: 6 when one step follows the other. */
const MAX_EVENTS_PER_MODEL = 6.5
/** The plan: about 200 bytes a model. Temporal warns at 512 KiB and refuses 2 MiB. */
const MAX_PAYLOAD_BYTES = 128 * 1024
const MAX_STEP_BYTES = 640
const MAX_RESULT_BYTES = 1024

describe('the history of a build of 500 models', () => {
  let server: TestServer
  let history: History
  let summary: BuildSummary

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.close())

  test('ends with a small result that counts and names no model that succeeded', async () => {
    const root = await createProject(manyModels())
    const worker = await server.startWorker([root])
    try {
      const handle = await startBuild(server, {})
      summary = await handle.result()
      history = await handle.fetchHistory()
    } finally {
      await worker.stop()
    }
    expect(summary).toMatchObject({ status: 'succeeded', promoted: true, problems: [] })
    expect(summary.counts).toMatchObject({ success: MODELS, error: 0, pending: 0 })
    const result = historyPayloads(history).filter(({ event }) => event.startsWith('workflowExecutionCompleted'))
    expect(result.map(({ text }) => JSON.parse(text) as unknown)).toEqual([summary])
    expect(result[0]?.bytes).toBeLessThan(MAX_RESULT_BYTES)
  })

  test('holds no SQL', () => {
    const text = historyText(history)
    // Looked for where it would be found: the names of the models are there.
    expect(text).toContain(nameOf(MODELS - 1))
    expect(text).not.toContain(MARKER)
    expect(text).not.toMatch(/\bSELECT\b|\bCREATE\b|\bINSERT\b/)
  })

  test('keeps to its budget of payloads and events', () => {
    const payloads = historyPayloads(history)
    const bytes = (event: string): number =>
      Math.max(...payloads.filter((payload) => payload.event === event).map((payload) => payload.bytes))
    expect(payloads.length).toBeGreaterThan(2 * MODELS)
    expect(Math.max(...payloads.map((payload) => payload.bytes))).toBeLessThan(MAX_PAYLOAD_BYTES)
    expect(bytes('activityTaskScheduledEventAttributes')).toBeLessThan(MAX_STEP_BYTES)
    expect((history.events?.length ?? 0) / MODELS).toBeLessThan(MAX_EVENTS_PER_MODEL)
  })

  test('calls every activity by its model’s name', () => {
    const activities = scheduledActivities(history)
    expect(activities[0]).toEqual({ activityId: 'plan', type: 'planProject', summary: 'plan' })
    expect(activities.at(-1)).toEqual({ activityId: 'finish', type: 'finishBuild', summary: 'promote and record' })
    const steps = activities.filter(({ type }) => type === 'buildModel')
    expect(steps.map(({ activityId }) => activityId).sort()).toEqual(
      Array.from({ length: MODELS }, (_, index) => nameOf(index)).sort(),
    )
    expect(steps.every(({ activityId, summary }) => summary === `${activityId} · full`)).toBe(true)
  })

  test('replays', async () => {
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history)
  })
})

/** Each model reads up to three earlier ones. */
function manyModels(): Record<string, string> {
  const files: Record<string, string> = {}
  for (let index = 0; index < MODELS; index++) {
    const earlier = Math.min(index, SOURCES + Math.floor(index / 2))
    const parents = index < SOURCES ? [] : new Set([7, 13, 19].map((factor, nth) => (index * factor + nth) % earlier))
    const rows = [...parents].map((parent) => `SELECT id FROM ${nameOf(parent)}`)
    const from = rows.length === 0 ? 'SELECT range AS id FROM range(3)' : rows.join(' UNION ')
    files[`models/${nameOf(index)}.sql`] =
      `MODEL (name ${nameOf(index)}, kind FULL);\nSELECT id, '${MARKER}' AS ${MARKER}_column FROM (${from})\n`
  }
  return files
}

function nameOf(index: number): string {
  return `layer_${Math.floor(index / 100)}.model_${String(index).padStart(3, '0')}`
}
