/**
 * A build of a minute, or half of one, on a server whose tokens live for two seconds, with the tokens of a real OAuth2 server that is down for a
 * while: no step fails, no token is fetched that nobody needs, and everybody who waits goes on telling so.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { BuildSummary } from '../../src/payloads.ts'
import { CLIENT_SECRET, createOAuthServer, type OAuthServer } from '../connections/credentials/oauth-server.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { FULL_SIZE } from '../helpers/full-size.ts'
import { startHttpServer } from '../helpers/http-server.ts'
import { createProject } from '../helpers/project.ts'
import { startQuackServer, type QuackServer } from '../helpers/quack-server.ts'
import { startBuild, startTestServer, type TestServer } from '../helpers/worker.ts'

const LIFE_MS = 2_000
/** Tokens are renewed when a fifth of their life is left. */
const RENEWED_AFTER_MS = LIFE_MS * 0.8
const SLOTS = 16
const MODELS = FULL_SIZE ? 560 : 280
/** From the start to the revocation, and from there to the outage. */
const UNDISTURBED_MS = FULL_SIZE ? 15_000 : 7_000
const REVOKED_MS = FULL_SIZE ? 8_000 : 4_000
/** Of each model's query, on the server. */
const QUERY_MS = 1_500
const DOWN_MS = 10_000
/** Twice the interval of heartbeats, and what a busy machine adds. */
const LONGEST_SILENCE_MS = 8_000

let temporal: TestServer
beforeAll(async () => {
  await extensionDirectory('httpfs', 'quack')
  temporal = await startTestServer()
}, 120_000)
afterAll(() => temporal.close())

test('every step succeeds at its first attempt, with one token for each expiry at most', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-expiry-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const quack = await startQuackServer({ file: join(folder, 'served.duckdb') })
  const oauth = await createOAuthServer(LIFE_MS / 1000)
  onTestFinished(() => oauth.stop())
  const root = await createProject(filesFor(quack, await startIssuer(oauth, quack)))
  const worker = await temporal.startWorker([root], { maxConcurrentActivityTaskExecutions: SLOTS + 4 })
  onTestFinished(() => worker.stop())

  const startedMs = Date.now()
  const handle = await startBuild(temporal, {})
  const building = handle.result()
  await Promise.race([building, pause(UNDISTURBED_MS)])
  await issuedLongAgo(oauth, 500)
  const [revoked] = await quack.run<{ n: number }>(
    'SELECT count(*)::INTEGER AS n FROM auth.tokens WHERE expires_at > now()',
  )
  await quack.run('DELETE FROM auth.tokens')
  await Promise.race([building, pause(REVOKED_MS)])

  await oauth.stop()
  const issuedBefore = oauth.issued.length
  const silences = watchHeartbeats(handle.workflowId)
  await pause(DOWN_MS)
  expect(oauth.issued).toHaveLength(issuedBefore)
  const waiting = await pendingPhases(handle.workflowId)
  const longest = await silences.stop()
  await oauth.start()

  const summary: BuildSummary = await building
  const elapsedMs = Date.now() - startedMs
  expect(summary).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: MODELS, error: 0 } })
  expect(elapsedMs).toBeGreaterThan(FULL_SIZE ? 60_000 : 25_000)

  const [attempts] = await quack.run(
    `SELECT count(*)::INTEGER AS steps, max((result->>'attempts')::INTEGER) AS most,
            (SELECT count(*) FROM millrace.failures)::INTEGER AS failures FROM millrace.steps`,
  )
  expect(attempts).toEqual({ steps: MODELS, most: 1, failures: 0 })
  expect(await mostAtOnce(quack)).toBeGreaterThan(SLOTS / 2)
  const { events } = await handle.fetchHistory()
  const restarted = (events ?? []).filter((event) => (event.activityTaskStartedEventAttributes?.attempt ?? 1) > 1)
  expect(restarted).toEqual([])

  // One for each expiry, the first, the one after the revocation, and the one after the pause.
  expect(revoked?.n).toBeGreaterThan(0)
  expect(oauth.issued.length).toBeGreaterThan(((elapsedMs - DOWN_MS) / LIFE_MS) * 0.5)
  expect(oauth.issued.length).toBeLessThanOrEqual((elapsedMs - DOWN_MS) / RENEWED_AFTER_MS + 3)
  expect(new Set(oauth.issued).size).toBe(oauth.issued.length)
  expect(await quack.asked()).toBeGreaterThan(oauth.issued.length)

  expect(waiting.length).toBeGreaterThan(0)
  expect(waiting.join('\n')).toContain('waiting for a token of oauth2 client')
  expect(longest).toBeLessThan(LONGEST_SILENCE_MS)
}, 150_000)

/** Steps that ran at one moment. */
async function mostAtOnce(quack: QuackServer): Promise<number> {
  const [row] = await quack.run<{ most: number }>(
    `WITH spans AS (SELECT (result->>'startedMs')::BIGINT AS began, (result->>'endedMs')::BIGINT AS ended FROM millrace.steps)
     SELECT max(n)::INTEGER AS most FROM (
       SELECT count(*) AS n FROM spans AS one JOIN spans AS other ON one.began BETWEEN other.began AND other.ended GROUP BY one.began, one.ended)`,
  )
  return row?.most ?? 0
}

function filesFor(quack: QuackServer, tokenUrl: string): Record<string, string> {
  const connection = {
    type: 'quack',
    uri: quack.uri,
    token: { oauth2: { token_url: tokenUrl, client_id: 'reader', client_secret: CLIENT_SECRET, scope: 'read' } },
    extension_directory: quack.extensions,
    concurrent_tasks: SLOTS,
  }
  return {
    'config.yaml': `gateways: { quack: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
    ...Object.fromEntries(
      Array.from({ length: MODELS }, (_, nth) => [
        `models/m${nth}.sql`,
        `MODEL (name s.m${nth}, kind FULL);\nSELECT ${nth} AS n, sleep_ms(${QUERY_MS}) IS NULL AS slept`,
      ]),
    ),
  }
}

/** In front of the OAuth2 server: the Quack server knows each token before anybody has it. @returns where tokens are to be had. */
async function startIssuer(oauth: OAuthServer, quack: QuackServer): Promise<string> {
  const url = await startHttpServer((incoming, response) => {
    const upstream = request(
      oauth.tokenUrl,
      { method: incoming.method, headers: { ...incoming.headers, host: new URL(oauth.tokenUrl).host } },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () => void pass(Buffer.concat(chunks).toString(), answer.statusCode ?? 502))
      },
    )
    async function pass(body: string, status: number): Promise<void> {
      const token = /"access_token":"([^"]+)"/.exec(body)?.[1]
      if (token !== undefined) await quack.addToken(token, LIFE_MS)
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    }
    // As if nobody listened here either.
    upstream.on('error', () => response.destroy())
    incoming.pipe(upstream)
  })
  return `${url}token`
}

/** Until the newest token is `ageMs` old and nobody fetches another: one that is revoked while it travels would be nobody's. */
async function issuedLongAgo(oauth: OAuthServer, ageMs: number): Promise<void> {
  for (;;) {
    const before = oauth.issued.length
    while (oauth.issued.length === before) await pause(20)
    const newest = oauth.issued.length
    await pause(ageMs)
    if (oauth.issued.length === newest) return
  }
}

interface HeartbeatWatch {
  /** @returns the longest time in ms that a running activity had not reported for, whenever it was looked at. */
  stop(): Promise<number>
}

function watchHeartbeats(workflowId: string): HeartbeatWatch {
  let longestMs = 0
  const ended = new AbortController()
  const watching = (async () => {
    while (!ended.signal.aborted) {
      for (const { lastHeartbeatTime, lastStartedTime } of await pendingActivities(workflowId)) {
        const reported = lastHeartbeatTime ?? lastStartedTime
        if (reported != null) longestMs = Math.max(longestMs, Date.now() - Number(reported.seconds) * 1000)
      }
      await pause(500)
    }
  })()
  return {
    stop: async () => {
      ended.abort()
      await watching
      return longestMs
    },
  }
}

/** What the running steps say they do. */
async function pendingPhases(workflowId: string): Promise<string[]> {
  return (await pendingActivities(workflowId)).map(({ heartbeatDetails }) =>
    (heartbeatDetails?.payloads ?? []).map(({ data }) => Buffer.from(data ?? []).toString()).join(),
  )
}

async function pendingActivities(workflowId: string) {
  const description = await temporal.client.workflow.getHandle(workflowId).describe()
  return (description.raw.pendingActivities ?? []).filter(({ lastStartedTime }) => lastStartedTime != null)
}
