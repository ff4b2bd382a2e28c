import { Client, WorkflowFailedError, type DataConverter, type WorkflowHandle } from '@temporalio/client'
import { NativeConnection, Worker } from '@temporalio/worker'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildDetails } from '../../src/cli/build-details.ts'
import { failedSummary } from '../../src/cli/remote-error.ts'
import { MillracePlugin } from '../../src/index.ts'
import type { BuildInput, BuildProgress } from '../../src/payloads.ts'
import { workflowsPath } from '../../src/workflows-path.ts'
import { EncryptingCodec, ENCODING } from '../fixtures/encryption/codec.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { until } from '../helpers/slow-build.ts'
import { startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

const FAILURE_CONVERTER = fileURLToPath(new URL('../fixtures/encryption/failure-converter.cjs', import.meta.url))

/** Of what a build is told and tells, all that is no name: none of it may be read in the server. */
const PRIVATE = [
  'nmae',
  'Binder',
  'models/',
  '.sql',
  'SELECT',
  'sesame',
  '2024-02',
  'promote and',
  'record the',
  'Started by',
  '"host"',
]

describe('with an encrypting codec and encoded failures', () => {
  const dataConverter: DataConverter = {
    payloadCodecs: [new EncryptingCodec()],
    failureConverterPath: FAILURE_CONVERTER,
  }
  let server: TestServer
  let client: Client
  let connection: NativeConnection

  beforeAll(async () => {
    server = await startTestServer()
    client = new Client({ connection: server.client.connection, dataConverter })
    connection = await NativeConnection.connect({ address: server.server.address })
  })
  afterAll(async () => {
    await connection.close()
    await server.close()
  })

  test('builds that fail, succeed and are cancelled leave names in the server, and nothing else that can be read', async () => {
    const root = await createProject(FILES)
    const worker = await Worker.create({
      connection,
      taskQueue: TASK_QUEUE,
      workflowsPath,
      dataConverter,
      shutdownGraceTime: 0,
      plugins: [new MillracePlugin({ projects: [root] })],
    })
    await worker.runUntil(async () => {
      const failed = await start('failed', 's.good s.bad')
      const error: unknown = await failed.result().catch((reason: unknown) => reason)
      // Whoever has the key reads everything.
      expect(error).toBeInstanceOf(WorkflowFailedError)
      expect(failedSummary(error)?.problems[0]?.error?.message).toContain('Referenced column "nmae" not found')
      const progress = await failed.query<BuildProgress>('progress')
      expect(progress.problems[0]?.error?.message).toContain('nmae')
      expect(await (await failed.describe()).staticDetails()).toContain('Started by')

      await writeFiles(root, { 'models/bad.sql': FILES['models/bad.sql'].replace('nmae', 'name') })
      const succeeded = await start('succeeded', 's.good s.bad')
      expect(await succeeded.result()).toMatchObject({ status: 'succeeded', promoted: true })

      const canceled = await start('canceled', 's.slow')
      await until('a heartbeat', async () => {
        const { raw } = await canceled.describe()
        return raw.pendingActivities?.some(({ heartbeatDetails }) => heartbeatDetails != null) === true ? true : null
      })
      expect(await canceled.executeUpdate('pause')).toContain('Paused')
      expect(readable((await canceled.describe()).raw)).toEqual([])
      await canceled.cancel()
      await canceled.result().catch(() => null)

      for (const handle of [failed, succeeded, canceled]) {
        const history = await handle.fetchHistory()
        expect(readable(history)).toEqual([])
        expect(encodings(history)).toContain(ENCODING)
        expect(readable((await handle.describe()).raw)).toEqual([])
        for (const name of ['buildModel', 'buildProject', TASK_QUEUE]) expect(JSON.stringify(history)).toContain(name)
      }
    })
  })

  /** As the command line starts it. */
  async function start(name: string, select: string): Promise<WorkflowHandle> {
    const workflowId = `millrace/vault/prod/${name}`
    const input: BuildInput = { select, vars: { password: 'sesame' }, executionTime: '2024-02-03' }
    return client.workflow.start('buildProject', {
      taskQueue: TASK_QUEUE,
      workflowId,
      args: [input],
      staticSummary: 'SELECT of the night',
      staticDetails: buildDetails(input, workflowId),
      memo: { millraceOwner: { host: hostname() } },
    })
  }
})

const FILES = {
  'models/good.sql': 'MODEL (name s.good, kind FULL);\nSELECT 1 AS a',
  'models/bad.sql': "MODEL (name s.bad, kind FULL);\nSELECT nmae FROM (SELECT 'x' AS name)",
  // For minutes: it is cancelled.
  'models/slow.sql': `MODEL (name s.slow, kind FULL);
SELECT count(*) AS n FROM range(1000000) AS l(x), range(1000000) AS r(y) WHERE hash(x, y) % 3 = 1`,
}

/** What stands in it as text, or in its payloads, that should not be readable: the private words, and payloads in the clear. */
function readable(value: unknown): string[] {
  const found: string[] = []
  visit(value, [], (path, item) => {
    const at = path.join('.')
    // The server's own, and what lists of builds are filtered by: names.
    if (/indexedFields|searchAttributes|identity|binaryChecksum|workerVersion|sdk/i.test(at)) return
    const text = item instanceof Uint8Array ? Buffer.from(item).toString() : item
    const words = PRIVATE.filter((word) => text.includes(word))
    if (words.length > 0) found.push(`${at}: ${words.join(', ')}`)
    if (at.endsWith('metadata.encoding') && text !== ENCODING) found.push(`${at}: ${text}`)
  })
  return found
}

function encodings(value: unknown): string[] {
  const found: string[] = []
  visit(value, [], (path, item) => {
    if (path.at(-1) === 'encoding' && item instanceof Uint8Array) found.push(Buffer.from(item).toString())
  })
  return found
}

/** Every text and every sequence of bytes in it. */
function visit(value: unknown, path: string[], see: (path: string[], item: string | Uint8Array) => void): void {
  if (typeof value === 'string' || value instanceof Uint8Array) return see(path, value)
  if (typeof value !== 'object' || value === null) return
  for (const [name, child] of Object.entries(value)) visit(child, [...path, name], see)
}
